"""The language that everybody in CaveCast speaks: geometry, records, messages, codec.  Loads no library but numpy's."""
