-- Runs once, when the volume of users-db in docker-compose.yml is new.
CREATE DATABASE users_dev;
CREATE DATABASE users_test;
CREATE DATABASE users_prod;
