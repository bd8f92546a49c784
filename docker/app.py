"""Stand for an application: change a user of the tenant that the environment names."""

from auth0_meta import ManagementClient

with ManagementClient.from_env() as client:
    with client.transaction("auth0|ada") as tx:
        tx.app_metadata.increment("starts")
    print("starts:", client.users.get("auth0|ada").app_metadata["starts"])  # noqa: T201
