name=tidemark-transport
units="tidemark-transport.service tidemark-warden.service tidemark-warden.socket"
sockets="tidemark-warden.socket"
user=tidemark
