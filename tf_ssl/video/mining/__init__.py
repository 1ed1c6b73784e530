"""Region tracks of many videos, in parallel, with Apache Beam."""
