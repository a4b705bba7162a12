"""What training costs, and what the same work costs elsewhere; see RESULTS.md."""
