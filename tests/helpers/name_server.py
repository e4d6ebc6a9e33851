#!/usr/bin/env python3
"""name_server.py ADDRESS LOG [RULE…]: a DNS server at port 53 of an IPv4 address, over UDP and TCP.

Each question is written to LOG, which is created when the server listens: "ADDRESS TYPE NAME TRANSPORT". RULE is
"TYPE NAME ANSWER"; TYPE and NAME may be *. The first rule that matches applies. ANSWER is an IP address, or

  mute          no answer is sent
  none          the name exists, but has nothing of that type
  servfail      the server fails
  garbage       bytes that are not an answer
  alias:NAME    an alias of NAME, with the answer that the rules give for NAME
  tcp:ANSWER    only over TCP; over UDP the answer is truncated
  once:FILE:ANSWER   as soon as that file exists

If no rule matches, the name does not exist.
"""
import ipaddress
import os
import socket
import struct
import sys
import threading
import time

TYPES = {1: "A", 28: "AAAA"}
NO_ERROR, SERVER_FAILURE, NO_NAME = 0, 2, 3


def read_name(message, at):
    labels = []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), at + 1


def written_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


class NameServer:
    def __init__(self, address, log, rules):
        self.address = address
        self.rules = [rule.split(" ", 2) for rule in rules]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, 53))
        self.tcp = socket.create_server((address, 53))
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def rule(self, kind, name):
        for its_kind, its_name, answer in self.rules:
            if its_kind in ("*", kind) and its_name in ("*", name.lower()):
                return answer
        return ""

    def records(self, kind, name, answer):
        """The code of the answer and its records."""
        if answer == "":
            return NO_NAME, []
        if answer == "none":
            return NO_ERROR, []
        if answer == "servfail":
            return SERVER_FAILURE, []
        if answer.startswith("alias:"):
            target = answer[len("alias:"):]
            code, records = self.records(kind, target, self.rule(kind, target))
            return code, [(name, 5, written_name(target)), *records]
        address = ipaddress.ip_address(answer)
        return NO_ERROR, [(name, 1 if address.version == 4 else 28, address.packed)]

    def reply(self, message, transport):
        name, end = read_name(message, 12)
        kind = TYPES.get(struct.unpack_from("!H", message, end)[0], "?")
        os.write(self.log, f"{self.address} {kind} {name} {transport}\n".encode())
        answer = self.rule(kind, name)
        if answer.startswith("once:"):
            _, file, answer = answer.split(":", 2)
            while not os.path.exists(file):
                time.sleep(0.01)
        if answer == "mute":
            return None
        if answer == "garbage":
            return message[:2] + b"\xff" * 40
        flags = 0x8580
        records = []
        if answer.startswith("tcp:") and transport == "udp":
            flags |= 0x0200
        else:
            code, records = self.records(kind, name, answer.removeprefix("tcp:"))
            flags |= code
        reply = struct.pack("!2s5H", message[:2], flags, 1, len(records), 0, 0) + message[12:end + 4]
        for owner, number, data in records:
            reply += written_name(owner) + struct.pack("!HHIH", number, 1, 60, len(data)) + data
        return reply

    def answer_datagram(self, message, peer):
        reply = self.reply(message, "udp")
        if reply is not None:
            self.udp.sendto(reply, peer)

    def serve_connection(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                reply = self.reply(stream.read(struct.unpack("!H", size)[0]), "tcp")
                if reply is not None:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)

    def accept(self):
        while True:
            self.start(self.serve_connection, self.tcp.accept()[0])

    @staticmethod
    def start(work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()

    def run(self):
        self.start(self.accept)
        while True:
            self.start(self.answer_datagram, *self.udp.recvfrom(4096))


NameServer(sys.argv[1], sys.argv[2], sys.argv[3:]).run()
