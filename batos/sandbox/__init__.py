"""Generated code in processes without rights."""
