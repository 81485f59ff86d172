"""Who may give which command: the protocol's table, written once more by hand."""

MAY = {
    "*RST": "s",
    "PROG:STAG": "c", "PROG:COMM": "c",
    "LIM:STAG": "s", "LIM:COMM": "s",
    "RES:REF:STAG": "c", "RES:REF:COMM": "c",
    "BOL:PAT": "pc", "BOL:STAG": "c", "BOL:COMM": "c",
    "DEL:STAR:STAG": "c", "DEL:STAR:COMM": "c",
    "DEL:STOP": "cs", "DEL:SUSP": "cs", "DEL:RES": "cs",
    "ALAR:ACK": "cs", "ALAR:PAUS": "cs", "ALAR:TEST": "cs",
    "CLOC:SET": "cs",
    "TEL:MAC": "opcs",
    "STAG:DROP": "cs", "CONF": "cs",
    "SERV:CLE:STAG": "s", "SERV:CLE:COMM": "s",
    "AUTH:BYE": "opcs",
    "KEY:ROT:STAG": "s", "KEY:ROT:COMM": "s",
}  # fmt: skip
