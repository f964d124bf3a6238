"""What the api does beyond what the domain's own use cases do: joining contacts and jobs."""
