"""The API on the wire: models of our five kinds, and the generator of their CRDs.

Read and written by `kube/` (and printed from by the CLI); the core never sees these.
`crds/*.yaml` are generated from here: `python -m overspill.api.generate crds/`.
"""

GROUP = "overspill.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "overspill"
