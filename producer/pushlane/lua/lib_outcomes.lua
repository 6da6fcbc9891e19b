-- The values of pushlane_worker.queue.outcome.Outcome.
local DELIVERED, THROTTLED, MISCONFIGURED, REJECTED, FAILED, UNKNOWN, UNSENT = 1, 2, 3, 4, 5, 6, 7
local SUSPECT = 0 -- a rejection that says more about the channel than about its message
