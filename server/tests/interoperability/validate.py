"""Reads recorded requests, one JSON object a line, and names each body that is not SCIM 2.0.

Two libraries that know nothing of Rollcall have to agree: scim2-models and scim-sanity.
"""

import json
import sys

from pydantic import ValidationError
from scim2_models import Context, EnterpriseUser, PatchOp, User
from scim_sanity.validator import SCIMValidator

Account = User[EnterpriseUser]
BODIES = {
    "POST": (Account, Context.RESOURCE_CREATION_REQUEST, "full"),
    "PUT": (Account, Context.RESOURCE_REPLACEMENT_REQUEST, "full"),
    "PATCH": (PatchOp[Account], Context.RESOURCE_PATCH_REQUEST, "patch"),
}


def objections(method, body):
    model, context, operation = BODIES[method]
    try:
        model.model_validate(body, scim_ctx=context)
    except ValidationError as error:
        yield from (f"scim2-models: {one['loc']}: {one['msg']}" for one in error.errors())
    valid, errors = SCIMValidator().validate(body, operation)
    if not valid:
        yield from (f"scim-sanity: {error}" for error in errors)


def main():
    passed, refused = 0, 0
    for line in sys.stdin:
        request = json.loads(line)
        method, body = request["method"], request["body"]
        found = list(objections(method, body))
        if found:
            refused += 1
            print(f"{method} {request['path']}: {'; '.join(found)}\n  {json.dumps(body)}")
        else:
            passed += 1
    print(f"{passed} passed, {refused} refused")
    return 1 if refused else 0


sys.exit(main())
