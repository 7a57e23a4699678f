"""Put the service together: `create` makes the application of one worker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from threadpoolctl import threadpool_limits

from recommender.service import api_page, health, page, routes, service_metrics
from recommender.service.answers import NoModelsError
from recommender.service.cached_lists import CachedLists
from recommender.service.middleware import Middleware
from recommender.service.request_log import log_event
from recommender.service.settings import ServiceSettings
from recommender.service.state import APPLICATION, Refresher
from recommender.service.warehouse_reads import WarehouseReads, WarehouseUnavailableError
from warehouse import database
from warehouse.database import Warehouse
from warehouse.errors import CommandError, ExitCode

DESCRIPTION = "Recommendations of MooVitamix: released lists with reasons, and lists made on request."


def create() -> Middleware:
    """Make the application from the settings in the environment."""
    settings = ServiceSettings.from_environment()
    app = FastAPI(
        title="MooVitamix recommendations",
        version="1",
        description=DESCRIPTION,
        lifespan=_run,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.include_router(routes.fast_router)
    app.include_router(routes.router)
    app.include_router(health.router)
    app.include_router(page.router)
    app.include_router(api_page.router)
    app.add_exception_handler(RequestValidationError, _refuse_input)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(Exception, _fail)
    app.add_exception_handler(NoModelsError, _without_models)
    app.add_exception_handler(WarehouseUnavailableError, _without_warehouse)
    return Middleware(app, settings.api_key)


@contextlib.asynccontextmanager
async def _run(app: FastAPI) -> AsyncIterator[None]:
    settings: ServiceSettings = app.state.settings
    refresher = app.state.refresher = Refresher(lambda: _find_warehouse(settings), log_event, settings.artefact_folder)
    app.state.cached_lists = CachedLists(settings.redis_url, refresher.current, log_event)
    app.state.reads = WarehouseReads(lambda: refresher.warehouse)
    refresher.start()
    app.state.cached_lists.start()
    gauges = asyncio.create_task(health.keep_gauges(app))
    # for one user more threads only cost time
    with threadpool_limits(1, "blas"):
        yield
    gauges.cancel()
    refresher.stop()
    await app.state.cached_lists.stop()
    await app.state.reads.close()
    service_metrics.leave()


def _find_warehouse(settings: ServiceSettings) -> Warehouse:
    address = settings.find_address()
    if address is None:
        raise CommandError(
            ExitCode.WAREHOUSE_UNAVAILABLE, "the embedded Postgres does not run; a run starts it: make run"
        )
    return database.find(address, APPLICATION)


async def _refuse_input(request: Request, error: RequestValidationError) -> JSONResponse:
    problems = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:3]]
    return JSONResponse({"detail": " ".join("; ".join(problems).split())}, 422)


async def _refuse(request: Request, error: HTTPException) -> JSONResponse:
    # a body that is no JSON at all is wrong input, too
    status = 422 if error.status_code == 400 else error.status_code
    return JSONResponse({"detail": error.detail}, status, error.headers)


async def _fail(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": "unexpected error; the log of the service has its kind and place"}, 500)


async def _without_models(request: Request, error: NoModelsError) -> JSONResponse:
    return await _refuse(request, routes.make_unavailable("the models of the release are not loaded yet"))


async def _without_warehouse(request: Request, error: WarehouseUnavailableError) -> JSONResponse:
    return await _refuse(request, routes.make_unavailable("the warehouse does not answer"))
