"""Amazon Data Firehose: delivery streams, from direct puts and data streams to where the data is wanted."""
