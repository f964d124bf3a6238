"""Publishing through Celery to a real Valkey, and what happens when it is not there."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from common.ids import new_id
from common.testing.valkey import ValkeyServer
from jobs.broker import CeleryPublisher, bulk_limit, publisher_settings, worker_settings
from jobs.dispatcher.publishing import PublishError


@pytest.fixture
def publisher(valkey: ValkeyServer) -> Iterator[CeleryPublisher]:
    with Celery("test", set_as_current=False) as app:
        app.conf.update(publisher_settings(valkey.url))
        yield CeleryPublisher(app)


def test_a_message_holds_store_and_id_only_and_waits_in_the_queue_of_its_store(
    valkey: ValkeyServer, publisher: CeleryPublisher
) -> None:
    job_id = new_id()
    assert publisher.count_waiting("api", "default") == 0
    publisher.publish("api", job_id, "default")
    publisher.publish("auth", new_id(), "default")
    assert publisher.count_waiting("api", "default") == 1
    with valkey.client() as client:
        message = client.lindex("api.default", 0)
    assert isinstance(message, str)
    assert "jobs.run" in message
    assert str(job_id) in message
    assert len(message) < 2048


def test_a_batch_is_sent_at_its_end_and_by_each_thread_for_itself(
    valkey: ValkeyServer, publisher: CeleryPublisher
) -> None:
    with publisher.batch():
        for _ in range(3):
            publisher.publish("api", new_id(), "default")
        other = threading.Thread(target=publisher.publish, args=("api", new_id(), "bulk"))
        other.start()
        other.join()
        assert [publisher.count_waiting("api", queue) for queue in ("default", "bulk")] == [0, 1]
    assert publisher.count_waiting("api", "default") == 3


def test_a_batch_that_fails_says_so_and_leaves_nothing_for_the_next(
    valkey: ValkeyServer, publisher: CeleryPublisher
) -> None:
    def publish_two() -> None:
        with publisher.batch():
            for _ in range(2):
                publisher.publish("api", new_id(), "default")

    publish_two()
    valkey.kill()
    with pytest.raises(PublishError):
        publish_two()
    valkey.start()
    publish_two()
    assert publisher.count_waiting("api", "default") == 2


def test_a_broker_that_is_gone_is_told_soon_and_found_again_when_it_is_back(
    valkey: ValkeyServer, publisher: CeleryPublisher
) -> None:
    publisher.publish("api", new_id(), "default")
    valkey.kill()
    started = time.monotonic()
    with pytest.raises(PublishError, match=r"refused|closed"):
        publisher.publish("api", new_id(), "default")
    with pytest.raises(PublishError):
        publisher.count_waiting("api", "default")
    assert time.monotonic() - started < 5
    valkey.start()
    assert publisher.count_waiting("api", "default") == 0
    publisher.publish("api", new_id(), "default")
    assert publisher.count_waiting("api", "default") == 1


@pytest.mark.parametrize(
    ("queues", "concurrency", "limit"),
    [(["default", "bulk"], 4, 3), (["default", "bulk"], 1, 1), (["bulk"], 4, 4), (["default"], 2, 1)],
)
def test_all_but_one_process_may_run_bulk_jobs_where_there_are_others(
    queues: list[str], concurrency: int, limit: int
) -> None:
    assert bulk_limit(queues, concurrency) == limit


def test_the_settings_that_keep_jobs_safe_are_what_they_were_measured_with() -> None:
    settings = worker_settings(
        "redis://127.0.0.1/0", ["api", "auth"], ["default", "bulk"], concurrency=4, longest_hard_limit_seconds=900
    )
    expected = {
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_acks_on_failure": True,
        "task_acks_on_timeout": True,
        "worker_prefetch_multiplier": 1,
        "task_ignore_result": True,
        "result_backend": None,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_time_limit": 960,
        "broker_pool_acquire_timeout": 2,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_max_tasks_per_child": 1000,
        "worker_max_memory_per_child": 300_000,
        "worker_hijack_root_logger": False,
    }
    assert {name: settings[name] for name in expected} == expected
    assert settings["broker_transport_options"] == {
        "bulk_queues": ["api.bulk", "auth.bulk"],
        "bulk_limit": 3,
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }


@pytest.mark.parametrize(("scheme", "first_byte"), [("rediss", 0x16), ("redis", ord("*"))])
def test_rediss_speaks_tls_from_the_first_byte_and_wants_a_certificate_it_can_check(
    scheme: str, first_byte: int, free_port: Callable[[], int]
) -> None:
    """0x16 begins a TLS handshake; `*` a command of Redis, and the first one holds the password."""
    with socket.create_server(("127.0.0.1", port := free_port())) as server:
        first: list[int] = []
        listener = threading.Thread(target=_note_first_byte, args=(server, first))
        listener.start()
        app = Celery("test")
        app.conf.update(publisher_settings(f"{scheme}://broker:secret@127.0.0.1:{port}/0"))
        with pytest.raises(PublishError):
            CeleryPublisher(app).publish("api", new_id(), "default")
        listener.join()
        assert first == [first_byte]
        tls = app.connection_for_write().ssl
        assert (tls or {}).get("ssl_cert_reqs") == (ssl.CERT_REQUIRED if scheme == "rediss" else None)


def _note_first_byte(server: socket.socket, first: list[int]) -> None:
    server.settimeout(10)
    client, _ = server.accept()
    with client:
        first += client.recv(1)
    server.close()
