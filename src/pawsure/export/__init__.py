"""Make the file that is shipped, and check that it says what the network says."""
