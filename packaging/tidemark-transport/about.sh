name=tidemark-transport
units="tidemark-transport.service"
user=tidemark
