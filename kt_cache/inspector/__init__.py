"""A page about every cache, for whichever framework: live figures, what is in it, and each value taken apart."""

from kt_cache.inspector.answering import respond
from kt_cache.inspector.asking import Access, Answer, Request, Site
from kt_cache.inspector.subjects import Subject, describe

__all__ = ["Access", "Answer", "Request", "Site", "Subject", "describe", "respond"]
