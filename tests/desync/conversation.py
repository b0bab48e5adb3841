"""Runs a conversation: an attacker and victims behind one front end, and what went wrong for the victims."""

import json
import socket
import time
from contextlib import closing, suppress
from http.client import HTTPException
from select import select

import psycopg2

from tests.desync.attacks import EMAIL, NUMBER
from tests.support.raw_http import Stream, head, read_response, send

QUIET_SECONDS = 0.2
HOLD_SECONDS = 3
PATIENCE_SECONDS = 20
SHOWN_BYTES = 4000


class WrongResponse(Exception):  # noqa: N818 -- named for what happened.
    """A victim received something else than the response to its own request."""


class Client:
    """A connection to the front end, whose bytes are recorded."""

    def __init__(self, name, port, record, patience):
        self.name, self.record = name, record
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.connection.close()

    def send(self, data):
        self.record.append((f"{self.name} sends", data))
        self.connection.sendall(data)


class Attacker(Client):
    """A client that sends anything, and collects whatever it receives."""

    received, has_left = b"", False

    def send(self, data):
        with suppress(OSError):  # The front end may have closed the connection.
            super().send(data)

    def listen(self, seconds):
        """Receive until nothing arrives for so long; return whether anything has arrived."""
        before = len(self.received)
        with suppress(OSError):
            while not self.has_left and select([self.connection], [], [], seconds)[0]:
                data = self.connection.recv(65536)
                if not data:
                    break
                self.received += data
                seconds = QUIET_SECONDS
        return len(self.received) > before

    def leave(self):
        """Close the connection, whatever is still to come."""
        if not self.has_left:
            self.listen(0)
            self.close()
            self.has_left = True

    def was_told_of(self, email):
        """Return whether a response acknowledges the user with this email address."""
        return f'"message":"{email} was added!"'.encode() in self.received


class Victim(Client):
    """A client with ordinary requests, each of which has exactly one correct response."""

    def __init__(self, *arguments, attacker):
        super().__init__(*arguments)
        self.attacker = attacker
        self.stream = Stream(self.connection.makefile("rb", buffering=0))

    def close(self):
        self.stream.raw.close()
        super().close()

    def receive(self, status, envelope):
        """Check that the next response is this one; return its data, with what the service has added.

        An attacker whose unfinished request holds the front end's only connection gives up after a while.
        """
        if not select([self.connection], [], [], HOLD_SECONDS)[0]:
            self.attacker.leave()
        response = read_response(self.stream)
        self.record.append((f"{self.name} receives", b"%d " % response.status + response.body))
        found = json.loads(response.body)
        if status == 201 and isinstance(found.get("data"), dict):
            added = {name: found["data"].get(name) for name in ("id", "created_date")}
            envelope = envelope | {"data": added | envelope["data"]}
        if (response.status, found) != (status, envelope):
            message = f"{self.name} received {response.status} {found}, not {status} {envelope}"
            raise WrongResponse(message)
        return found.get("data")

    def create(self, email):
        user = {"username": email.partition("@")[0], "email": email}
        self.send(send("POST /users", json.dumps(user)))
        message = f"{email} was added!"
        return self.receive(201, {"status": "success", "message": message, "data": user | {"active": True}})

    def ask_for(self, user):
        """Request the list of users of this name, without waiting for the response."""
        self.send(head(f"GET /users?username={user['username']}&limit=1"))

    def receive_list(self, user):
        self.receive(200, {"status": "success", "data": {"users": [user], "next": None, "prev": None}})

    def read(self, user):
        self.send(head(f"GET /users/{user['id']}"))
        self.receive(200, {"status": "success", "data": user})

    def delete(self, user):
        self.send(head(f"DELETE /users/{user['id']}"))
        self.receive(200, {"status": "success", "message": f"{user['email']} was removed!"})


class Report:
    """What a conversation found: the faults, and the bytes that led to them."""

    def __init__(self, front_end, name):
        self.front_end, self.name, self.faults, self.record = front_end, name, [], []

    def __str__(self):
        talk = [f"    {who} {data[:SHOWN_BYTES]!r}" for who, data in self.record]
        return "\n".join([f"{self.front_end}, {self.name}:", *self.faults, *talk])


class Lane:
    """A port of a front end, whose clients share one connection to the back end, and the database."""

    def __init__(self, front_end, port, database_url, patience=PATIENCE_SECONDS):
        self.front_end, self.port, self.patience = front_end, port, patience
        self.database = psycopg2.connect(database_url)
        self.database.autocommit = True

    def close(self):
        self.database.close()

    def converse(self, name, attack, number):
        """Run the conversation with this unique number, and return its report."""
        report = Report(self.front_end, name)
        with closing(Attacker("attacker", self.port, report.record, self.patience)) as attacker:
            try:
                self._talk(report, attacker, attack, number)
            except (WrongResponse, OSError, HTTPException, ValueError) as error:
                report.faults.append(f"{type(error).__name__}: {error}")
            else:
                report.faults += self._writes(attacker, attack, number)
            for victim in ("ada", "eve"):
                if f"{victim}-{number}".encode() in attacker.received:
                    report.faults.append(f"the attacker received a response to {victim}")
            report.record.append(("attacker receives", attacker.received))
        return report

    def _talk(self, report, attacker, attack, number):
        """Let victims send requests before, between and after the attacker's pieces."""

        def victim(name):
            return closing(Victim(name, self.port, report.record, self.patience, attacker=attacker))

        first, *rest = (piece.replace(NUMBER.encode(), number.encode()) for piece in attack.pieces)
        with victim("Ada") as ada:
            user = ada.create(f"ada-{number}@desync.example")
            attacker.send(first)
            for piece in rest:
                with victim("Grace") as grace:
                    grace.ask_for(user)
                    attacker.listen(attack.pause)
                    attacker.send(piece)
                    grace.receive_list(user)
            attacker.listen(QUIET_SECONDS)
            if attack.leaves:
                attacker.leave()
            ada.read(user)
            with victim("Eve") as eve:
                other = eve.create(f"eve-{number}@desync.example")
                ada.ask_for(other)
                eve.delete(user)
                ada.receive_list(other)
                ada.delete(other)

    def _writes(self, attacker, attack, number):
        """Yield what is wrong in the database: only a user that the attacker was told of may be left."""
        evil = EMAIL.replace(NUMBER, number)
        stored = self._stored(number)
        deadline = time.monotonic() + self.patience
        while not attacker.has_left and evil in stored and not attacker.was_told_of(evil):
            if time.monotonic() > deadline or not attacker.listen(self.patience):
                yield f"{evil} is stored, but the attacker was not told"
                break
        if attack.valid and evil in stored:
            yield f"{evil} is stored, but the only request was another one"
        if attacker.was_told_of(evil) and evil not in stored:
            yield f"the attacker was told of {evil}, but it is not stored"
        if stored - {evil}:
            yield f"{sorted(stored - {evil})} are stored"

    def _stored(self, number):
        with self.database.cursor() as cursor:
            cursor.execute("SELECT email FROM users WHERE email LIKE %s", (f"%-{number}@%",))
            return {email for (email,) in cursor.fetchall()}
