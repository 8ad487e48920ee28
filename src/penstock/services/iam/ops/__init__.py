"""Operations of IAM and STS, by resource."""
