"""What a run is in a Kubernetes cluster: its objects, as plain dictionaries that can be sent as JSON.

``plan`` has the records that say what is wanted, ``objects`` makes all objects of a run from one, in the order of
creating; each kind has a small room of its own.  ``changes`` has what is said later (scale, delete, take over), and
``readable`` turns what a cluster reports into sentences.  ``engine`` alone speaks to a cluster; what follows from what
it hears is decided in ``hearing``.
"""
