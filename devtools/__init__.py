"""What tests, benchmarks and screenshots share: real servers, whole platforms, odd files."""
