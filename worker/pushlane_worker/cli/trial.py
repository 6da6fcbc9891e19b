"""Sends one request to a running callback as the chat platform would, and interprets its answer."""

import http.client
import json
import secrets
import time
from typing import Any
from urllib.parse import urlencode

from pushlane.callback.app import CALLBACK_PATH
from pushlane.callback.settings import ModerationSettings, load_callback_settings
from pushlane.callback.tencent.question import C2C
from pushlane.callback.tencent.signature import sign
from pushlane.errors import SettingsError
from pushlane.service.printable import escaped
from pushlane_worker.cli.exit_codes import Failed, words_of

TIMEOUT_S = 5.0
MAX_ANSWER_BYTES = 1024 * 1024
PERSON = "pushlane-try"
"""Sender and receiver of the message."""
_VERDICTS = {0: "allow", 1: "forbid", 2: "discard"}


def ask(host: str, port: int, text: str) -> str:
    """The answer to a one-to-one message with this text, in one line.

    Raises:
        SettingsError: Moderation is not configured here, so there is nothing to sign with.
        Failed: The callback refused the request or did not answer.
    """
    moderation = load_callback_settings().moderation
    if moderation is None:
        raise SettingsError("PUSHLANE_MODERATION__SDK_APP_IDS", "is not set: there is no moderation to try")
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"{CALLBACK_PATH}?{_query(moderation)}", _body(text))
        answer = connection.getresponse()
        status, body = answer.status, answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Failed(f"no answer from {host}:{port}: {words_of(error)}") from None
    finally:
        connection.close()
    if status != http.client.OK:
        raise Failed(f"the callback at {host}:{port} answered HTTP {status}: the platform would deliver the message")
    try:
        return _meaning(json.loads(body))
    except (ValueError, LookupError, TypeError):
        raise Failed(f"the server at {host}:{port} is not a callback") from None


def _query(moderation: ModerationSettings) -> str:
    now, tokens = str(int(time.time())), moderation.read_tokens()
    facts = {"SdkAppid": min(moderation.sdk_app_ids), "CallbackCommand": C2C, "contenttype": "json"}
    signed = {"Sign": sign(tokens[0], now), "RequestTime": now} if tokens else {}
    return urlencode({**facts, "ClientIP": "127.0.0.1", "OptPlatform": "RESTAPI", **signed})


def _body(text: str) -> bytes:
    message = {
        "CallbackCommand": C2C,
        "From_Account": PERSON,
        "To_Account": PERSON,
        "MsgKey": f"{PERSON}-{secrets.token_hex(8)}",
        "MsgTime": int(time.time()),
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}],
    }
    return json.dumps(message).encode()


def _meaning(answer: dict[str, Any]) -> str:
    code = answer["ErrorCode"]
    changes = {name: answer[name] for name in ("MsgBody", "CloudCustomData") if name in answer}
    if changes:
        return f"rewrite: {json.dumps(changes)}"
    return _VERDICTS.get(code) or escaped(f"forbid: code {code}: {answer['ErrorInfo']}")
