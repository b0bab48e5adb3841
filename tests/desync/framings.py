"""Framings that a front end and the service may read differently; `<length>` is the length of the body."""

from tests.support.hostile import AMBIGUOUS, BROKEN_CHUNKS
from tests.support.raw_http import CHUNKED

CODINGS = {
    "chunked": (CHUNKED,),
    "chunked without a space": ("Transfer-Encoding:chunked",),
    "chunked in mixed case": ("tRANSFER-eNCODING: cHUNKED",),
    "chunked behind two spaces": ("Transfer-Encoding:  chunked",),
    "chunked behind a tab": ("Transfer-Encoding:\tchunked",),
    "chunked before a space": ("Transfer-Encoding: chunked ",),
    "chunked before a tab": ("Transfer-Encoding: chunked\t",),
    "chunked before a vertical tab": ("Transfer-Encoding: chunked\x0b",),
    "chunked before a bare CR": ("Transfer-Encoding: chunked\r",),
    "chunked behind a form feed": ("Transfer-Encoding: \x0cchunked",),
    "chunked behind a no-break space": ("Transfer-Encoding: \xa0chunked",),
    "chunked before a comma": ("Transfer-Encoding: chunked,",),
    "chunked behind a comma": ("Transfer-Encoding: ,chunked",),
    "chunked behind identity": ("Transfer-Encoding: identity, chunked",),
    "chunked in front of a word": ("Transfer-Encoding: chunked x",),
    "half of chunked": ("Transfer-Encoding: chunk",),
    "chunked and an unknown coding on two lines": (CHUNKED, "Transfer-Encoding: x"),
    "an unknown coding and chunked on two lines": ("Transfer-Encoding: x", CHUNKED),
    "an empty coding and chunked on two lines": ("Transfer-Encoding:", CHUNKED),
    "a name with an underscore": ("Transfer_Encoding: chunked",),
    "a name with a NUL": ("Transfer-Encoding\x00: chunked",),
    "a coding that Connection names": (CHUNKED, "Connection: Transfer-Encoding"),
    "a length that Connection names": (CHUNKED, "Connection: Content-Length"),
    **{
        name: lines
        for name, lines in AMBIGUOUS.items()
        if "Transfer-Encoding" in "".join(lines) and "<length>" not in "".join(lines)
    },
}

LENGTHS = {
    "the length": ("Content-Length: <length>",),
    "a length with zeros in front": ("Content-Length: 000<length>",),
    "a length behind a tab": ("Content-Length:\t<length>",),
    "a length before a vertical tab": ("Content-Length: <length>\x0b",),
    "a length before a bare CR": ("Content-Length: <length>\r",),
    "a length with a space before its colon": ("Content-Length : <length>",),
    "a length on a folded line": ("Content-Length:\r\n <length>",),
    "a length continued on a folded line": ("Content-Length: 5\r\n 0",),
    "a length before a smaller one": ("Content-Length: <length>", "Content-Length: 5"),
    "a list that begins with zero": ("Content-Length: 0, <length>",),
    "zero before the length": ("Content-Length: 0", "Content-Length: <length>"),
    "a length with a comma after it": ("Content-Length: <length>,",),
    "a length in a name with an underscore": ("Content_Length: <length>",),
    "a length that Connection removes": ("Content-Length: <length>", "Connection: content-length"),
    "a negative zero": ("Content-Length: -0",),
    "no length": (),
    **{
        name: lines
        for name, lines in AMBIGUOUS.items()
        if not any("Transfer-Encoding" in line for line in lines)
    },
}

CHUNKS = {
    "chunks": "2\r\n{}\r\n0\r\n\r\n",
    "a size with zeros in front": "0000000000000000000002\r\n{}\r\n0\r\n\r\n",
    "a size of 2^64 + 2": "10000000000000002\r\n{}\r\n0\r\n\r\n",
    "a size of 2^32 + 2": "100000002\r\n{}\r\n0\r\n\r\n",
    "a size of 2^63": "8000000000000000\r\n{}\r\n0\r\n\r\n",
    "a size before a space": "2 \r\n{}\r\n0\r\n\r\n",
    "a size before a tab": "2\t\r\n{}\r\n0\r\n\r\n",
    "a size behind a bare LF": "\n2\r\n{}\r\n0\r\n\r\n",
    "an extension": "2;a=b\r\n{}\r\n0\r\n\r\n",
    "an extension without a name": "2;\r\n{}\r\n0\r\n\r\n",
    "an extension behind a space": "2 ;a\r\n{}\r\n0\r\n\r\n",
    "an extension with a bare CR": "2;a=\rb\r\n{}\r\n0\r\n\r\n",
    "an extension with a quoted line break": '2;a="\r\n{}\r\n"0\r\n\r\n',
    "a line break missing behind the data": "2\r\n{}0\r\n\r\n",
    "a line break missing behind the last chunk": "2\r\n{}\r\n0\r\n",
    "two line breaks behind the data": "2\r\n{}\r\n\r\n0\r\n\r\n",
    "a last chunk of minus zero": "2\r\n{}\r\n-0\r\n\r\n",
    "a last chunk of 0x0": "2\r\n{}\r\n0x0\r\n\r\n",
    "a last chunk of many zeros": "2\r\n{}\r\n00000000000000000000\r\n\r\n",
    "a last chunk with an extension": "2\r\n{}\r\n0;a=b\r\n\r\n",
    "a last chunk with bare LFs": "2\r\n{}\r\n0\n\n",
    "a last chunk with a bare LF after it": "2\r\n{}\r\n0\r\n\n",
    "a trailer": "2\r\n{}\r\n0\r\nX: y\r\n\r\n",
    "a trailer that is a length": "2\r\n{}\r\n0\r\nContent-Length: 50\r\n\r\n",
    "a trailer that is a coding": "2\r\n{}\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
    "a trailer that is a host": "2\r\n{}\r\n0\r\nHost: evil.example\r\n\r\n",
    "a trailer that is folded": "2\r\n{}\r\n0\r\nX: y\r\n z\r\n\r\n",
    "a trailer with a bare LF": "2\r\n{}\r\n0\r\nX: y\n\r\n",
    "a trailer without an end": "2\r\n{}\r\n0\r\nX: ",
    **{name: chunks for name, chunks in BROKEN_CHUNKS.items() if len(chunks) < 100},
}
