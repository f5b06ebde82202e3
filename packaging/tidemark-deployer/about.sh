name=tidemark-deployer
units="tidemark-deployer.service tidemark-deployer-rollback.service"
user=
