"""`petit load`: an open-loop load generator that knows nothing but the public API and a base URL.

It makes people and rooms, opens their streams in receiver processes of its own, and sends on a fixed
schedule whether or not answers come, so that a slow server cannot slow down its own measurement
(coordinated omission). Latency counts from when a message was *due*. Every delivery at every receiver is
checked for order and completeness; a run with a violation has no score.

The same rooms, rates and frames are then given to a bare asyncio fan-out hub (`floor`), so that every
figure stands beside what this machine can do at best.

How a run flows: `command` reads the options into a `Plan`; `stage` makes the people and rooms through
`api`; `crew` starts the receiver processes (`worker`) and tells them what to open (`orders`); `pace` sends
by `lanes` and keeps a `ledger` of what was acknowledged; `meter` reads the servers' CPU and memory from
`/proc`; `verdict` compares ledger and receivers; `report` writes it down.
"""
