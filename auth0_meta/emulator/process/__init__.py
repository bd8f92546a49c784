"""A local tenant beside other programs: serve, exec, and the tenant that is announced to them."""
