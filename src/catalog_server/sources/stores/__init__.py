"""Where the sources configuration is kept: the file of the operator, a ConfigMap, or nowhere but in memory."""
