"""The protocols of Kyoto Tycoon and Tokyo Tyrant as bytes, for client and server alike, without input or output.

What is here turns messages into bytes and bytes into messages. It may import the errors, the numbers, the purely
computing modules of the standard library, and its own siblings; it may not import sockets, event loops, clocks or
threads, nor the database. Who sends the bytes, and when, is the business of the layers above.
"""
