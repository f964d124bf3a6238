"""The client of the request at hand, as a value the use cases can take."""

from common.web.context import current_trace_id, this_request

from auth_service.client import Client


def current_client() -> Client:
    """Return who asks. The address is the connection's, or what as many proxies as are trusted have said."""
    request = this_request()
    return Client.of_request(
        address=request.remote_addr, user_agent=request.user_agent.string, trace_id=current_trace_id()
    )
