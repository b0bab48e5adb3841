-- Runs once, when the volume of docker-compose.yml's users-db is new.
CREATE DATABASE users_dev;
CREATE DATABASE users_test;
CREATE DATABASE users_prod;
