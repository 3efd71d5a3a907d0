//! Operation to a document of lines of spans with roles; dangerous characters made visible.
