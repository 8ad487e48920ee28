"""Files that grow, sent line by line to streams: what agent.json of the Kinesis Agent describes."""
