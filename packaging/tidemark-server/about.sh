name=tidemark-server
units="tidemark-server.service tidemark-depot.service"
user=
