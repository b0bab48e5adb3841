#!/bin/sh
# Converts the variables to PgBouncer's configuration, as edoburu's image does.
set -eu
echo "\"$DB_USER\" \"$DB_PASSWORD\"" >/tmp/userlist.txt
cat >/tmp/pgbouncer.ini <<CONFIGURATION
[databases]
$DB_NAME = host=$DB_HOST port=5432 auth_user=$DB_USER

[pgbouncer]
listen_addr = 0.0.0.0
listen_port = 5432
unix_socket_dir =
auth_file = /tmp/userlist.txt
auth_type = $AUTH_TYPE
pool_mode = $POOL_MODE
default_pool_size = $DEFAULT_POOL_SIZE
max_client_conn = $MAX_CLIENT_CONN
ignore_startup_parameters = $IGNORE_STARTUP_PARAMETERS
server_login_retry = $SERVER_LOGIN_RETRY
query_wait_timeout = $QUERY_WAIT_TIMEOUT
CONFIGURATION
exec pgbouncer /tmp/pgbouncer.ini
