"""The import path of `MetadataBag` in earlier documentation; `auth0_meta.MetadataBag` is the same class."""

from auth0_meta.transactions.bag import MetadataBag as MetadataBag
