"""What two or more services need: the log and its feed, mirrors of chats, leases, tokens, serving."""
