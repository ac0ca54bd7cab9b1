"""Server paths that KServe lacks: those with a version, in both protocols, and those of a model's
metadata.

TensorFlow Serving answers `/v1/models/NAME[/versions/N]`, `.../metadata` and `...:predict`; the
Open Inference Protocol has `/v2/models/NAME[/versions/N]`, `.../ready` and `.../infer`. KServe's
own endpoints process the requests.
"""

from typing import Any

from fastapi import APIRouter, Request, Response
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.rest.v1_endpoints import V1Endpoints
from kserve.protocol.rest.v2_datamodels import InferenceRequest
from kserve.protocol.rest.v2_endpoints import V2Endpoints
from starlette.exceptions import HTTPException

from tfcyclegan.serving.model import Exported
from tfcyclegan.serving.refusal import Refused


def router(exported: Exported, plane: DataPlane) -> APIRouter:
    """The routes of one model, to be matched before KServe's."""
    v1, v2, routes = V1Endpoints(plane), V2Endpoints(plane), APIRouter()

    async def check(name: str, version: str | None) -> None:
        """Raises the error that becomes 404."""
        await plane.model_ready(name)
        if version is not None:
            try:
                exported.require_version(version)
            except Refused as refused:
                raise HTTPException(refused.status, refused.message) from refused

    async def status(name: str, version: str | None = None) -> dict[str, Any]:
        await check(name, version)
        served = {
            "version": exported.version,
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        }
        return {**await v1.model_ready(name), "model_version_status": [served]}

    async def metadata(name: str, version: str | None = None) -> dict[str, Any]:
        await check(name, version)
        model = {"name": exported.name, "signature_name": "", "version": exported.version}
        return {
            "model_spec": model,
            "metadata": {"signature_def": exported.signatures(), "properties": exported.properties},
        }

    async def predict(name: str, version: str, request: Request) -> Any:
        await check(name, version)
        return await v1.predict(name, request)

    async def metadata_v2(name: str, version: str | None = None) -> dict[str, Any]:
        await check(name, version)
        return {
            **await plane.model_metadata(name),
            "versions": [exported.version],
            "properties": exported.properties,
        }

    async def ready_v2(name: str, version: str) -> Any:
        await check(name, version)
        return await v2.model_ready(name)

    async def infer(
        name: str,
        version: str,
        request: Request,
        response: Response,
        body: InferenceRequest | bytes,
    ) -> Any:
        await check(name, version)
        return await v2.infer(request, response, name, body)

    one, of_version = "/models/{name}", "/models/{name}/versions/{version}"
    for place in (one, of_version):
        routes.add_api_route(f"/v1{place}", status, methods=["GET"])
        routes.add_api_route(f"/v1{place}/metadata", metadata, methods=["GET"])
        routes.add_api_route(f"/v2{place}", metadata_v2, methods=["GET"])
    routes.add_api_route(f"/v1{of_version}:predict", predict, methods=["POST"], response_model=None)
    routes.add_api_route(f"/v2{of_version}/ready", ready_v2, methods=["GET"])
    routes.add_api_route(f"/v2{of_version}/infer", infer, methods=["POST"], response_model=None)
    return routes
