"""A cache and session backend for Django and Flask: adapters over one store contract.

What it logs, by the name of the logger:

=====================  ==============================================================================
``kt_cache.stores``    ERROR when a server is out of order, WARNING when it is in order again, each
                       once; WARNING for a value that finds no room
``kt_cache.values``    WARNING, once a reason, for a stored value that was taken for a miss
``kt_cache.once``      WARNING, with the traceback, when an old value is served for a new one
``kt_cache.sessions``  WARNING for a session of Flask that cannot be read; Django's are told by
                       ``django.security.SuspiciousSession``, as of any engine
``kt_core.database``   what becomes of the files of an embedded database
``kt_core.server``     what the bundled server does
``kt_core.embedded``   what becomes of a server in a sub-process, and what it writes
=====================  ==============================================================================

The names stay. Records of ``kt_cache.stores`` have the attribute ``kt_location``: the server, or the directory of
the database. No record holds a key, a value or a secret; a traceback is the project's own.
"""
