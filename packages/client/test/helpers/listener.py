"""A plain Python Socket.IO client. It joins a room, and prints the events that it receives as lines of JSON.

listener.py KIND ADDRESS TRANSPORTS AUTH, where KIND is sync or asyncio, and AUTH is JSON.
"""
import asyncio
import json
import sys
import threading

import socketio

KIND, ADDRESS, TRANSPORTS, AUTH = sys.argv[1:]
OPTIONS = {'transports': TRANSPORTS.split(','), 'auth': json.loads(AUTH)}
ASK = {'roomId': 'veranda', 'username': 'ben'}


LOCK = threading.Lock()


def tell(**what):
    # The library calls handlers in threads of its own.
    with LOCK:
        print(json.dumps(what), flush=True)


def chat(entry):
    """A handler as the documentation of the library has it: with one argument."""
    tell(chat=entry['message'])


def anything(event, *args):
    tell(event=event, arguments=len(args))


def connected():
    tell(connected=True)


# Comes back often, for tests are not to wait.
BACK_OFF = {'reconnection_delay': 0.1, 'reconnection_delay_max': 0.3}


def run_sync():
    client = socketio.Client(**BACK_OFF)
    client.on('connect', connected)
    client.on('create:chat:success', chat)
    client.on('*', anything)
    client.connect(ADDRESS, **OPTIONS)
    tell(joined=client.call('add:member', ASK)['ok'])
    client.wait()


async def run_asyncio():
    client = socketio.AsyncClient(**BACK_OFF)
    client.on('connect', connected)
    client.on('create:chat:success', chat)
    client.on('*', anything)
    await client.connect(ADDRESS, **OPTIONS)
    tell(joined=(await client.call('add:member', ASK))['ok'])
    await client.wait()


if KIND == 'sync':
    run_sync()
else:
    asyncio.run(run_asyncio())
