/**
 * The look at a host, as a script for /bin/sh: over SSH before anything of ours is there, and by the agent afterwards.
 *
 *   tidemark-look 1
 *   NAME BASE64            a fact of the machine
 *   space PATH64 DF64
 *   mongod PID             a process; the facts of it follow
 *   NAME BASE64
 *   end                    without it the answer was cut off
 *
 * It decides nothing: report.ts reads it. A process calls itself mongod because anybody may call a program so; therefore
 * what a command line names (its configuration, its own binary) is read and run as the owner of that process, never as
 * root. Nothing is written.
 */
export const probeVersion = 1;

export const probeScript = String.raw`
b() { base64 | tr -d '\n'; echo; }
put() { printf '%s ' "$1"; printf %s "$2" | b; }
bounded() { if command -v timeout >/dev/null 2>&1; then timeout "$@"; else shift; "$@"; fi; }
me=$(id -u)
as() {
  u=$1; g=$2; shift 2
  if [ "$me" != 0 ] || [ "$u" = 0 ]; then bounded 10 "$@"
  elif command -v setpriv >/dev/null 2>&1; then bounded 10 setpriv --reuid="$u" --regid="$g" --clear-groups "$@"
  fi
}
echo 'tidemark-look 1'
put hostname "$(cat /proc/sys/kernel/hostname 2>/dev/null || hostname)"
put kernel "$(uname -s) $(uname -r)"
put machine "$(uname -m)"
put glibc "$(getconf GNU_LIBC_VERSION 2>/dev/null)"
put systemd "$(test -d /run/systemd/system && systemctl --version 2>/dev/null | head -n 1)"
put system "$(. /etc/os-release 2>/dev/null; printf %s "$PRETTY_NAME")"
put user "$me"
for d in / /opt /var/lib /tmp; do
  test -d "$d" || continue
  printf 'space %s ' "$(printf %s "$d" | b)"; df -Pk "$d" 2>/dev/null | tail -n 1 | b
done
own=$(readlink /proc/self/ns/mnt 2>/dev/null)
for p in /proc/[0-9]*; do
  comm=; { read -r comm < "$p/comm"; } 2>/dev/null
  case $comm in *mongod*) ;; *) continue;; esac
  echo "mongod ${"$"}{p#/proc/}"
  exe=$(readlink "$p/exe" 2>/dev/null); cwd=$(readlink "$p/cwd" 2>/dev/null); ns=$(readlink "$p/ns/mnt" 2>/dev/null)
  put comm "$comm"; put exe "$exe"; put cwd "$cwd"
  root=; if [ "$ns" != "$own" ]; then root=$p/root; put container "$ns"; fi
  for f in cmdline status mountinfo; do printf '%s ' "$f"; cat "$p/$f" 2>/dev/null | b; done
  printf 'tcp '; cat "$p/net/tcp" "$p/net/tcp6" 2>/dev/null | grep ' 0A ' | b
  files=$(ls -l "$p/fd" 2>/dev/null | sed -n 's/^[^>]*-> //p' | grep -E '/(WiredTiger\.lock|mongod\.lock|WiredTigerLog\.[0-9]+)$|^socket:')
  put files "$files"
  uid=$(sed -n 's/^Uid:[[:space:]]*[0-9]*[[:space:]]*\([0-9]*\).*/\1/p' "$p/status" 2>/dev/null)
  gid=$(sed -n 's/^Gid:[[:space:]]*[0-9]*[[:space:]]*\([0-9]*\).*/\1/p' "$p/status" 2>/dev/null)
  conf=$(tr '\0' '\n' < "$p/cmdline" 2>/dev/null | { take=; while IFS= read -r a; do
    if [ -n "$take" ]; then printf %s "$a"; break; fi
    case $a in --config=*) printf %s "${"$"}{a#--config=}"; break;; --config|-f) take=1;; -f?*) printf %s "${"$"}{a#-f}"; break;; esac
  done; })
  case $conf in ''|/*) ;; *) conf=$cwd/$conf;; esac
  if [ -n "$conf" ] && [ -n "$uid" ]; then
    put config "$conf"
    printf 'configtext '; as "$uid" "$gid" head -c 262144 "$root$conf" 2>/dev/null | b
  fi
  lock=$(printf '%s\n' "$files" | grep -E '/(WiredTiger|mongod)\.lock$' | head -n 1)
  if [ -n "$lock" ]; then
    data=$root${"$"}{lock%/*}
    printf 'df '; df -Pk "$data" 2>/dev/null | tail -n 1 | b
    if [ "$(stat -f -c %T "$data" 2>/dev/null)" = xfs ] && command -v xfs_info >/dev/null 2>&1; then
      put xfs "$(xfs_info "$(df -P "$data" | tail -n 1 | sed 's/.*% //')" 2>/dev/null | tr ' ,' '\n\n' | grep '^reflink=')"
    fi
  fi
  if [ -n "$uid" ]; then
    v=$(as "$uid" "$gid" "$p/exe" --version 2>/dev/null | head -n 1)
    put version "$v"
  fi
done
echo end
`;
