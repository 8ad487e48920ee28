"""Operations of the data catalog."""
