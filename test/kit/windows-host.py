"""
A stand-in for a Windows host, on impacket: an SMB2 server with ADMIN$ and C$ on a directory, the pipes svcctl and lsarpc, an
endpoint mapper, and svcctl over TCP that demands packet privacy. It is independent of what it tests: its NDR and its NTLM are
impacket's. Services are programs of the machine: a path C:\\... or %SystemRoot%\\... in their command is one below the directory. With
`wine`, words that start a program of Windows, they are services of Wine's service control manager.

stdin: one line of JSON {address, ports: {smb, mapper, control}, root, user, domain, password, log, wine}. stdout: "ready", and
then a line of JSON for what was asked of service control. It ends when stdin does.
"""
import json, os, re, shlex, signal, socket, struct, subprocess, sys, tempfile, threading
from hashlib import md5
from impacket import ntlm, smbserver
from impacket.dcerpc.v5 import epm, lsad, scmr
from impacket.dcerpc.v5.dtypes import NULL
from impacket.dcerpc.v5.rpcrt import DCERPCServer
from impacket.uuid import uuidtup_to_bin
try:
    from Cryptodome.Cipher import ARC4
except ImportError:
    from Crypto.Cipher import ARC4

given = json.loads(sys.stdin.readline())
root, address, ports = given['root'], given['address'], given['ports']
windows = next((os.path.join(root, name) for name in ('Windows', 'windows') if os.path.isdir(os.path.join(root, name))), os.path.join(root, 'Windows'))
svcctl = ('367abb81-9844-35f1-ad32-98f038001003', '2.0')
mapper = ('e1af8308-5d1f-11c9-91a4-08002b14a0fa', '3.0')
lsarpc = ('12345778-1234-abcd-ef00-0123456789ab', '0.0')
handle = b'tidemark-windows-hst'
UNKNOWN, EXISTS, RUNS, NOT_ACTIVE, NOT_FOUND = 1060, 1073, 1056, 1062, 2
said = threading.Lock()


def tell(**what):
    with said:
        print(json.dumps(what), flush=True)


def here(path):
    return os.path.join(root, path.replace('%SystemRoot%', 'C:\\Windows').replace('C:\\', '').replace('\\', '/'))


class Services:
    """What the service control manager knows: names, commands and processes."""

    def __init__(self):
        self.known, self.lock = {}, threading.RLock()

    def create(self, name, command):
        with self.lock:
            if name in self.known:
                return EXISTS
            self.known[name] = {'command': command, 'process': None, 'code': 0}
            return 0

    def start(self, name):
        with self.lock:
            service = self.known[name]
            if self.state(name)[0] == 4:
                return RUNS
            words = [here(word.strip('"')) if ':\\' in word or '%SystemRoot%' in word else word for word in re.findall(r'"[^"]*"|\S+', service['command'])]
            if not os.path.exists(words[0]):
                return NOT_FOUND
            # What comes over the network may be run here as it may on Windows.
            os.chmod(words[0], 0o755)
            log = open(given['log'], 'ab')
            environment = {**os.environ, 'SystemRoot': os.path.join(root, 'Windows'), 'ProgramData': os.path.join(root, 'ProgramData'), 'ProgramFiles': os.path.join(root, 'Program Files')}
            service['process'] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=os.path.join(root, 'Windows'), env=environment)
            return 0

    def state(self, name):
        service = self.known[name]
        if service['process'] is None:
            return 1, 0
        code = service['process'].poll()
        return (4, 0) if code is None else (1, code & 0xffffffff)

    def stop(self, name):
        with self.lock:
            if self.state(name)[0] != 4:
                return NOT_ACTIVE
            self.known[name]['process'].terminate()
            try:
                self.known[name]['process'].wait(10)
            except subprocess.TimeoutExpired:
                self.known[name]['process'].kill()
            return 0

    def delete(self, name):
        with self.lock:
            self.known.pop(name)
            return 0


class WineServices(Services):
    """Wine's own service control manager, asked by its sc.exe. What that says comes through a file: Wine gives no pipes."""

    def sc(self, *words):
        with tempfile.TemporaryFile() as out:
            code = subprocess.run([*given['wine'], 'sc', *words], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL).returncode
            out.seek(0)
            return code, out.read().decode('utf-8', 'replace')

    def create(self, name, command):
        with self.lock:
            if name in self.known:
                return EXISTS
            self.known[name] = {'command': command}
            return self.sc('create', name, 'binPath=', command)[0]

    def start(self, name):
        return self.sc('start', name)[0]

    def state(self, name):
        found = re.search(r'STATE\s*:\s*(\d)', self.sc('query', name)[1])
        return (int(found[1]) if found else 1), 0

    def stop(self, name):
        return 0 if self.sc('stop', name)[0] == 0 else NOT_ACTIVE

    def delete(self, name):
        with self.lock:
            self.known.pop(name)
            return self.sc('delete', name)[0]


services = WineServices() if given.get('wine') else Services()
opened = {}


def opens(name):
    with services.lock:
        key = struct.pack('<I', 0) + md5(name.encode()).digest()
        opened[key] = name
        return key


def status(name):
    answer = scmr.RQueryServiceStatusResponse()
    state, code = services.state(name) if name in services.known else (1, 0)
    for field, value in (('dwServiceType', 0x10), ('dwCurrentState', state), ('dwControlsAccepted', 1), ('dwWin32ExitCode', code and 1066), ('dwServiceSpecificExitCode', code), ('dwCheckPoint', 0), ('dwWaitHint', 0)):
        answer['lpServiceStatus'][field] = value
    answer['ErrorCode'] = 0 if name in services.known else UNKNOWN
    return answer.getData()


def text(value):
    return value[:-1] if value.endswith('\x00') else value


def open_manager(_):
    answer = scmr.ROpenSCManagerWResponse()
    answer['lpScHandle'], answer['ErrorCode'] = handle, 0
    return answer.getData()


def open_service(data):
    name = text(scmr.ROpenServiceW(data)['lpServiceName'])
    answer = scmr.ROpenServiceWResponse()
    is_there = name in services.known
    answer['lpServiceHandle'], answer['ErrorCode'] = (opens(name), 0) if is_there else (b'\0' * 20, UNKNOWN)
    return answer.getData()


def create_service(data):
    asked = scmr.RCreateServiceW(data)
    name, command = text(asked['lpServiceName']), text(asked['lpBinaryPathName'])
    code = services.create(name, command)
    tell(did='create', name=name, command=command, code=code, type=asked['dwServiceType'], start=asked['dwStartType'])
    answer = scmr.RCreateServiceWResponse()
    answer['lpdwTagId'] = NULL
    answer['lpServiceHandle'], answer['ErrorCode'] = (opens(name) if code == 0 else b'\0' * 20), code
    return answer.getData()


def with_service(what, request, response, work):
    def done(data):
        name = opened.get(bytes(request(data)['hService']['Data'] if not isinstance(request(data)['hService'], bytes) else request(data)['hService']), '')
        code = work(name) if name in services.known else UNKNOWN
        tell(did=what, name=name, code=code)
        answer = response()
        answer['ErrorCode'] = code
        return answer.getData()
    return done


def query_status(data):
    return status(name_of(scmr.RQueryServiceStatus(data)['hService']))


def name_of(given_handle):
    return opened.get(given_handle if isinstance(given_handle, bytes) else bytes(given_handle['Data']), '')


def control(data):
    name = name_of(scmr.RControlService(data)['hService'])
    code = services.stop(name) if name in services.known else UNKNOWN
    tell(did='stop', name=name, code=code)
    return status(name)[:-4] + struct.pack('<I', code)


def close(_):
    answer = scmr.RCloseServiceHandleResponse()
    answer['hSCObject'], answer['ErrorCode'] = b'\0' * 20, 0
    return answer.getData()


control_calls = {
    0: close, 1: control, 6: query_status, 12: create_service, 15: open_manager, 16: open_service,
    2: with_service('delete', scmr.RDeleteService, scmr.RDeleteServiceResponse, services.delete),
    19: with_service('start', scmr.RStartServiceW, scmr.RStartServiceWResponse, services.start),
}


def open_policy(_):
    answer = lsad.LsarOpenPolicy2Response()
    answer['PolicyHandle'], answer['ErrorCode'] = handle, 0
    return answer.getData()


def query_policy(_):
    """S-1-5-21-1-2-3, of the domain TIDEMARK: as bytes, since a union in a response is more than impacket writes by itself."""
    name = 'WINHOST'.encode('utf-16le')
    sid = struct.pack('<IBB6sIIII', 4, 1, 4, b'\0\0\0\0\0\5', 21, 1, 2, 3)
    return struct.pack('<IHHHHII', 0x20004, 5, 0, len(name), len(name), 0x20008, 0x2000c) + struct.pack('<III', 7, 0, 7) + name + b'\0\0' + sid + struct.pack('<I', 0)


lsa_calls = {0: close, 6: open_policy, 44: open_policy, 7: query_policy, 46: query_policy}


class Pipe(DCERPCServer):
    """A pipe that serves several at once: each connection is a server of its own."""

    def __init__(self, interface, name, calls):
        DCERPCServer.__init__(self)
        self.daemon = True
        self.interface, self.path, self.calls = interface, '\\PIPE\\' + name, calls

    def run(self):
        self._sock.listen(10)
        while True:
            client, _ = self._sock.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        one = DCERPCServer()
        one._sock.close()
        one._clientSock = client
        one.addCallbacks(self.interface, self.path, self.calls)
        try:
            while (data := one.recv()) is not None:
                answer = one.processRequest(data)
                if answer is not None:
                    one.send(answer)
        except Exception as error:
            print('pipe', repr(error), file=sys.stderr, flush=True)
        client.close()


def received(client, length):
    data = b''
    while len(data) < length:
        part = client.recv(length - len(data))
        if not part:
            raise EOFError()
        data += part
    return data


def fragment(client):
    head = received(client, 16)
    return head + received(client, struct.unpack('<H', head[8:10])[0] - 16)


def sends(client, kind, call, body, proof=b''):
    tail = (struct.pack('<BBBBI', 10, 6, 0, 0, 79231) + proof) if proof else b''
    client.sendall(struct.pack('<BBBBIHHI', 5, 0, kind, 3, 0x10, 16 + len(body) + len(tail), len(proof), call) + body + tail)


def bind_ack(interface_taken):
    result = struct.pack('<HH', 0 if interface_taken else 2, 0 if interface_taken else 1) + uuidtup_to_bin(('8a885d04-1ceb-11c9-9fe8-08002b104860', '2.0'))
    return struct.pack('<HHIH', 4280, 4280, 0x1234, 0) + b'\0\0' + struct.pack('<BBH', 1, 0, 0) + result


def is_for(body, interface):
    return body[16:36] == uuidtup_to_bin(interface)


def serve_mapper(client):
    while True:
        data = fragment(client)
        kind, call = data[2], struct.unpack('<I', data[12:16])[0]
        if kind == 11:
            sends(client, 12, call, bind_ack(is_for(data[16:], mapper)))
            continue
        asked = epm.ept_map(data[24:])
        raw = b''.join(part if isinstance(part, bytes) else bytes([part]) for part in asked['map_tower']['tower_octet_string'])
        tower = None
        if epm.EPMTower(raw)['Floors'][0]['InterfaceUUID'] == uuidtup_to_bin(svcctl)[:16] and not given.get('withoutTcp'):
            # The floors that were asked for, with the port and the address in the last two.
            tower = raw[:-11] + struct.pack('>H', ports['control']) + raw[-9:-4] + socket.inet_aton(address)
        body = b'\0' * 20 + struct.pack('<IIII', 1 if tower else 0, 8, 0, 1 if tower else 0)
        if tower:
            body += struct.pack('<III', 3, len(tower), len(tower)) + tower
            body += b'\0' * (-len(body) % 4)
        sends(client, 2, call, struct.pack('<IHBB', len(body), 0, 0, 0) + body + struct.pack('<I', 0 if tower else 0x16c9a0d6))


class Sealed:
    """The server's end of NTLM: refuses what does not prove itself, and opens and seals with impacket's own functions."""

    def __init__(self, negotiate):
        self.negotiate = negotiate
        asked = ntlm.NTLMAuthNegotiate()
        asked.fromString(negotiate)
        pairs = ntlm.AV_PAIRS()
        for key in (ntlm.NTLMSSP_AV_HOSTNAME, ntlm.NTLMSSP_AV_DOMAINNAME):
            pairs[key] = 'WINHOST'.encode('utf-16le')
        pairs[ntlm.NTLMSSP_AV_TIME] = struct.pack('<q', 133_000_000_000_000_000)
        answer = ntlm.NTLMAuthChallenge()
        self.nonce = os.urandom(8)
        domain = 'WINHOST'.encode('utf-16le')
        answer['flags'] = asked['flags'] | ntlm.NTLMSSP_TARGET_TYPE_SERVER
        answer['domain_len'] = answer['domain_max_len'] = len(domain)
        answer['domain_offset'], answer['domain_name'] = 56, domain
        answer['challenge'] = self.nonce
        answer['TargetInfoFields_len'] = answer['TargetInfoFields_max_len'] = len(pairs)
        answer['TargetInfoFields'], answer['TargetInfoFields_offset'] = pairs, 56 + len(domain)
        answer['Version'], answer['VersionLen'] = b'\xff' * 8, 8
        self.challenge, self.flags = answer.getData(), answer['flags']
        self.asked, self.answer = asked, answer

    def admits(self, message):
        shown = ntlm.NTLMAuthChallengeResponse()
        shown.fromString(message)
        user = shown['user_name'].decode('utf-16le')
        if user.lower() != given['user'].lower():
            return False
        # An account of this machine is looked up whatever domain is given with it, or none.
        key = ntlm.NTOWFv2(user, given['password'], shown['domain_name'].decode('utf-16le'))
        proof, rest = shown['ntlm'][:16], shown['ntlm'][16:]
        if ntlm.hmac_md5(key, self.nonce + rest) != proof:
            tell(did='refuse', name=user, code=1)
            return False
        session = ntlm.generateEncryptedSessionKey(ntlm.hmac_md5(key, proof), shown['session_key'])
        if ntlm.hmac_md5(session, self.negotiate + self.challenge + message[:72] + b'\0' * 16 + message[88:]) != message[72:88]:
            tell(did='mic', code=1)
            return False
        self.signing = {side: ntlm.SIGNKEY(self.flags, session, side) for side in ('Client', 'Server')}
        self.sealing = {side: ntlm.SEALKEY(self.flags, session, side) for side in ('Client', 'Server')}
        self.ciphers = {side: ARC4.new(self.sealing[side]) for side in ('Client', 'Server')}
        self.count = {'Client': 0, 'Server': 0}
        return True

    def signature(self, side, whole):
        made = ntlm.MAC(self.flags, self.ciphers[side].encrypt, self.signing[side], self.count[side], whole)
        self.count[side] += 1
        return made.getData()

    def opens(self, data):
        pad = data[-22]
        clear = self.ciphers['Client'].encrypt(data[24:-24])
        whole = data[:24] + clear + data[-24:-16]
        if self.signature('Client', whole) != data[-16:]:
            raise ValueError('wrong signature')
        return clear[:-pad] if pad else clear

    def seals(self, call, stub, kind=2):
        pad = -len(stub) % 16
        body = struct.pack('<IHBB', len(stub), 0, 0, 0) + stub + b'\xbb' * pad
        whole = struct.pack('<BBBBIHHI', 5, 0, kind, 3, 0x10, 16 + len(body) + 24, 16, call) + body + struct.pack('<BBBBI', 10, 6, pad, 0, 79231)
        sealed = self.ciphers['Server'].encrypt(whole[24:-8])
        return whole[:24] + sealed + whole[-8:] + self.signature('Server', whole)


def serve_control(client):
    data = fragment(client)
    call = struct.unpack('<I', data[12:16])[0]
    length = struct.unpack('<H', data[10:12])[0]
    if not is_for(data[16:], svcctl):
        return sends(client, 12, call, bind_ack(False))
    if length == 0 or data[-length - 7] != 6:
        return sends(client, 13, call, struct.pack('<H', 8))
    sealed = Sealed(data[-length:])
    sends(client, 12, call, bind_ack(True), sealed.challenge)
    data = fragment(client)
    length = struct.unpack('<H', data[10:12])[0]
    is_admitted = data[2] == 16 and sealed.admits(data[-length:])
    while True:
        data = fragment(client)
        call, opnum = struct.unpack('<I', data[12:16])[0], struct.unpack('<H', data[22:24])[0]
        if not is_admitted:
            return sends(client, 3, call, struct.pack('<IHBBII', 0, 0, 0, 0, 5, 0))
        work = control_calls.get(opnum)
        answer = work(sealed.opens(data))
        message = sealed.seals(call, answer)
        if given.get('forges') == opnum:
            message = message[:-9] + bytes([message[-9] ^ 1]) + message[-8:]
        client.sendall(message)


def listens(port, serve):
    server = socket.create_server((address, port))

    def accepts():
        while True:
            client, _ = server.accept()
            threading.Thread(target=guarded, args=(client,), daemon=True).start()

    def guarded(client):
        try:
            serve(client)
        except (EOFError, ConnectionError):
            pass
        except Exception as error:
            print('rpc', repr(error), file=sys.stderr, flush=True)
        client.close()
    threading.Thread(target=accepts, daemon=True).start()


class SigningChallenge(ntlm.NTLMAuthChallenge):
    """impacket's file server signs and does not say so; Windows says so."""

    def __setitem__(self, key, value):
        signs = ntlm.NTLMSSP_NEGOTIATE_SIGN | ntlm.NTLMSSP_NEGOTIATE_ALWAYS_SIGN | ntlm.NTLMSSP_NEGOTIATE_SEAL
        super().__setitem__(key, value | signs if key == 'flags' else value)


signed_in = threading.local()
plain_proof = smbserver.computeNTLMv2


def proof_with_key(identity, lmhash, nthash, nonce, message, challenge, negotiate):
    code, key = plain_proof(identity, lmhash, nthash, nonce, message, challenge, negotiate)
    signed_in.key, signed_in.flags = key, message['flags']
    if code != 0:
        tell(did='refuse', name=identity, code=1)
    return code, key


plain_answer = smbserver.SPNEGO_NegTokenResp


class SignedAnswer(plain_answer):
    """With the code over the list of mechanisms, which impacket leaves out and a client that signs insists on."""

    def getData(self):
        if self['NegState'] != b'\x00':
            return plain_answer.getData(self)
        mechanisms = bytes.fromhex('300c060a2b06010401823702020a')
        cipher = ARC4.new(ntlm.SEALKEY(signed_in.flags, signed_in.key, 'Server'))
        code = ntlm.MAC(signed_in.flags, cipher.encrypt, ntlm.SIGNKEY(signed_in.flags, signed_in.key, 'Server'), 0, mechanisms).getData()
        inner = b'\xa0\x03\x0a\x01\x00' + b'\xa3\x12\x04\x10' + code
        return b'\xa1' + bytes([len(inner) + 2]) + b'\x30' + bytes([len(inner)]) + inner


def serve_files():
    ntlm.NTLMAuthChallenge = SigningChallenge
    smbserver.computeNTLMv2, smbserver.SPNEGO_NegTokenResp = proof_with_key, SignedAnswer
    server = smbserver.SimpleSMBServer(listenAddress=address, listenPort=ports['smb'])
    # Wine's names are small, and this server, unlike Windows, minds.
    if os.path.isdir(os.path.join(windows, 'temp')) and not os.path.exists(os.path.join(windows, 'Temp')):
        os.symlink('temp', os.path.join(windows, 'Temp'))
    server.addShare('ADMIN$', windows)
    server.addShare('C$', root)
    server.setSMB2Support(True)
    # As on Windows a new challenge for each connection would be better; impacket keeps one for all of them.
    server.setSMBChallenge('')
    server.addCredential(given['user'], 0, ntlm.compute_lmhash(given['password']).hex(), ntlm.compute_nthash(given['password']).hex())
    for interface, name, calls in ((svcctl, 'svcctl', control_calls), (lsarpc, 'lsarpc', lsa_calls)):
        pipe = Pipe(interface, name, calls)
        pipe.start()
        server.registerNamedPipe(name, ('127.0.0.1', pipe.getListenPort()))
    threading.Thread(target=server.start, daemon=True).start()


serve_files()
if ports.get('control'):
    listens(ports['control'], serve_control)
if ports.get('mapper'):
    listens(ports['mapper'], serve_mapper)
print('ready', flush=True)
sys.stdin.read()
for name in list(services.known):
    process = services.known[name].get('process')
    if process is not None and process.poll() is None:
        process.kill()
os._exit(0)
