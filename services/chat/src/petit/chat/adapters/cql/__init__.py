"""The read model in ScyllaDB or Cassandra: the store of a deployment with several machines.

Nothing here imports the driver before a store is opened: `petit up` does without it.
"""
