"""Bad input, remote control, Flower and what check.py leaves out: edges.py [STEP..]. WORKER, CELERY: the programs; DIR: the brokers' folder."""
import json, os, signal, socket, subprocess, sys, tempfile, time, urllib.request, uuid
os.environ["QUEUE"] = "edges"; D = os.environ.setdefault("DIR", os.path.join(tempfile.gettempdir(), "spinney-brokers"))
import amqp, tasks as t
from amqp.basic_message import Message
from celery import chain, chord, group
from celery.exceptions import TimeoutError
from celery.result import AsyncResult
os.makedirs(f"{D}/log", exist_ok=True)
HERE = os.path.dirname(os.path.abspath(__file__)); W = os.environ["WORKER"].split(); BACKEND = os.environ.get("BACKEND", "rpc://"); REDIS = BACKEND.startswith("redis")
G = dict(timeout=30); ok = bad = 0; steps = []
def step(f): steps.append(f); return f
def start(name="edges", env={}, **kw):
    a = dict(c=20, prefetch=2, queue="edges", name=f"{name}@localhost", tasklog=f"{D}/once.log", broker=t.BROKER); a.update(kw)
    if REDIS and "redis" not in a: a["redis"] = BACKEND
    w = subprocess.Popen(W + [f"{k}={v}" for k, v in a.items()], stdout=open(f"{D}/log/{name}.log", "w"), stderr=subprocess.STDOUT, env=dict(os.environ, **env), start_new_session=True)
    started.append(w); return w
started = []
def free_port():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]
def channel(): c = amqp.Connection(t.HOST); c.connect(); return c.channel()
def left(queue="edges"): return channel().queue_declare(queue, passive=True).message_count
def until(f, limit=30):
    end = time.time() + limit
    while not f():
        assert time.time() < end, "not in time"
        time.sleep(.05)
def raw(body, content_type="application/json", headers=None, **kw):
    """Sends a message as it stands; returns what will have its result."""
    i = str(uuid.uuid4()); m = t.app.amqp.as_task_v2(i, "tasks.noop", (1,), {}); r = t.noop.AsyncResult(i)
    if not REDIS:
        with t.app.amqp.producer_pool.acquire(block=True) as p: r.backend.on_task_call(p, i)
    h = dict(m.headers) if headers is None else headers
    channel().basic_publish(Message(body, content_type=content_type, content_encoding="utf-8", application_headers=h, correlation_id=i, reply_to=t.app.thread_oid if not REDIS else "", delivery_mode=2, **kw), routing_key="edges")
    return r
def raises(r, kind, timeout=30):
    try: v = r.get(timeout=timeout)
    except Exception as e: assert type(e).__name__ == kind, repr(e); return repr(e)[:90]
    assert False, f"no error but {v!r}"
GOOD = json.dumps([[1], {}, {}])
@step
def pickle(): return raises(raw(b"\x80\x04K\x01.", "application/x-python-serialize"), "ContentDisallowed")
@step
def msgpack(): return raises(raw(b"\x93\x91\x01\x80\x80", "application/x-msgpack"), "ContentDisallowed")
@step
def protocol_1(): return raises(raw(json.dumps(dict(id="x", task="tasks.noop", args=[1], kwargs={})), headers={}), "InvalidTaskError")
@step
def truncated_body(): return raises(raw(GOOD[:-3]), "DecodeError")
def memory(which):
    """The worker's resident memory in MB: VmRSS now, VmHWM at most."""
    return next(int(l.split()[1]) >> 10 for l in open(f"/proc/{w.pid}/status") if l.startswith(which))
@step
def bodies_of_100_MB():
    # Twice, since memory that was leaked would add up. The broker takes seconds for each.
    body = json.dumps([["x" * 100_000_000], {}, {}]); es = [raises(raw(body), "ContentDisallowed") for _ in range(2)]
    assert t.noop.delay(1).get(**G) == 1 and left() == 0; most, now = memory("VmHWM"), memory("VmRSS"); assert most < 400 and now < 100, (most, now); return f"{es[0]}; at most {most} MB, now {now} MB"
@step
def malformed_header():
    return raises(raw(GOOD, headers=dict(task="tasks.noop", eta="tomorrow")), "InvalidTaskError")
@step
def garbage_is_rejected():
    for h in ({}, {"task": 5}, {"id": None, "task": {}}): channel().basic_publish(Message(b"\xff\x00", application_headers=h), routing_key="edges")
    until(lambda: left() == 0); assert t.noop.delay(1).get(**G) == 1
@step
def too_few_arguments(): return raises(t.app.send_task("tasks.nap"), "TypeError")
@step
def too_many_arguments(): return raises(t.app.send_task("tasks.nap", (1, 2)), "TypeError")
@step
def argument_of_another_type(): return raises(t.app.send_task("tasks.nap", ("long",)), "TypeError")
@step
def keyword_arguments(): assert t.noop.delay(x=[5]).get(**G) == [5]; return raises(t.app.send_task("tasks.noop", (), {"y": 1}), "TypeError")
@step
def early_acknowledgement():
    # One answer is enough: the task may have ended before a second one.
    r = t.early.delay(2); seen = []; active = lambda: seen.extend((t.app.control.inspect(timeout=.5).active() or {}).get("edges@localhost") or []) or seen
    until(active); assert seen[0]["acknowledged"]; assert r.get(**G) == "early"
@step
def errback():
    r = t.fail.apply_async(("x",), link_error=t.noop.s().set(task_id=(i := str(uuid.uuid4())))); raises(r, "ValueError")
    if REDIS: assert AsyncResult(i, app=t.app).get(**G) == r.id
@step
def chain_that_fails():
    r = chain(t.noop.s("x"), t.fail.s(), t.noop.s(), t.noop.s())(); r.parent.parent = None; raises(r.parent, "ValueError"); r.parent = None; return raises(r, "ValueError")
@step
def link_to_a_group():
    ids = [str(uuid.uuid4()) for _ in range(3)]
    t.noop.apply_async((7,), link=group(t.noop.s().set(task_id=i) for i in ids)).get(**G)
    if REDIS: assert [AsyncResult(i, app=t.app).get(**G) for i in ids] == [7] * 3
@step
def chord_that_fails():
    if not REDIS: return
    r = chord([t.noop.s(1), t.fail.s("x")], t.noop.s())(); r.parent = None; return raises(r, "ChordError")
@step
def chord_in_a_chain():
    if REDIS: assert chain(t.noop.s(3), group(t.noop.s(), t.noop.s()), t.noop.s())().get(**G) == [3, 3]
n, g, i = t.noop.s, group, t.noop.si
# What Celery's own worker makes of each.
CANVAS = [
    (lambda: chain(n(1), g(chain(n(), n()), i(4)), n()), [1, 4]), (lambda: chain(n(1), g(i(2), i(3)), g(n(), n()), n()), [[2, 3], [2, 3]]),
    (lambda: chord([chain(n(1), n()), n(3)], n()), [1, 3]), (lambda: g(chain(n(1), n()), g(n(2), n(3)), n(4)), [1, 2, 3, 4]),
    (lambda: chord([chord([n(1), n(2)], n()), n(4)], n()), [[1, 2], 4]), (lambda: chain(n(0), chord([chord([i(1), i(2)], n()), i(4)], n())), [[1, 2], 4]),
    (lambda: chord([chain(n(1), g(i(2), i(3))), n(4)], n()), [[2, 3], 4]), (lambda: chain(n(0), chord([chain(i(1), g(i(2), i(3))), i(4)], n())), [[2, 3], 4]),
    (lambda: chain(n(0), chord([chain(i(1), g(i(2), i(3)), n()), i(4)], n())), [[2, 3], 4]), (lambda: chain(n(0), chord([i(1), i(2)], chord([n(), i(3)], n())), n()), [[1, 2], 3]),
    (lambda: chain(n(0), chord([i(1), i(2)], g(n(), i(3)))), [[1, 2], 3]), (lambda: chain(n(0), chord([], n())), []), (lambda: chain(n(0), g([]), n()), 0),
    (lambda: chord([g(g(n(1), chain(n(2), n())), chord([n(3), n(4)], n())), n(5)], chain(n(), g(n(), n()), n())), [[[3, 4], 2, 1, 5]] * 2),
]
@step
def canvas():
    if not REDIS: return
    for k, (make, want) in enumerate(CANVAS):
        r = make()()
        try: v = r.get(timeout=3)
        except TimeoutError: v = r.get(**G)  # Celery's client overlooks results that are announced in one burst.
        assert v == want, (k, v, want)
@step
def canvas_that_fails():
    if not REDIS: return
    f = t.fail
    for c, e in [(chord([chain(f.s("x"), n()), n(2)], n()), "ChordError"), (chain(n(0), chord([chord([f.si("x"), i(1)], n()), i(2)], n())), "ChordError"), (chord([f.s("x"), n(1)], chain(n(), n())), "ChordError"), (chain(n(0), g(f.si("x"), i(1)), n(), n()), "ChordError"), (chord([t.app.signature("tasks.nosuch"), n(1)], n()), "ChordError"), (chain(n(0), t.app.signature("tasks.nosuch"), n(), n()), "NotRegistered")]:
        r = c(); r.parent = None; raises(r, e)
    r = chord([f.s("x"), n(1)], g(n(), n()))(); r.parent = None; return raises(r, "ChordError")
@step
def call_to_a_queue_that_is_not_there():
    q = "fresh-" + str(uuid.uuid4()); chain(t.noop.s(1), t.noop.s().set(queue=q))(); until(lambda: t.app.control.ping(timeout=.2)); time.sleep(.5)
    ch = channel(); assert ch.queue_declare(q, passive=True).message_count == 1; ch.queue_delete(q)
@step
def calls_to_many_queues_that_are_not_there():
    # The broker returns each call; it may confirm many at once.
    qs = ["fresh-" + str(uuid.uuid4()) for _ in range(100)]
    for q in qs: t.noop.apply_async((1,), link=t.noop.si(2).set(queue=q)); t.noop.delay(3); t.noop.delay(4)
    i = t.app.control.inspect(timeout=.5, destination=["edges@localhost"]); busy = lambda: [j for jobs in (i.active(), i.reserved()) for j in (jobs or {"": [None]}).popitem()[1]]
    until(lambda: not left() and not busy())
    ch = channel(); counts = [ch.queue_declare(q, durable=True, auto_delete=False).message_count for q in qs]; [ch.queue_delete(q) for q in qs]; assert counts == [1] * 100, counts
@step
def call_to_a_queue_that_the_broker_forbids():
    # As with Celery, the task fails. It is not put back, and the connection stays.
    q = dict(queue="amq.forbidden"); e = raises(t.noop.apply_async((1,), link=t.noop.s().set(**q)), "AccessRefused"); raises(t.fail.apply_async(("x",), link_error=t.noop.s().set(**q)), "ValueError")
    if REDIS: r = chord([t.noop.s(1), t.noop.s(2)], t.noop.s().set(**q))(); r.parent = None; raises(r, "ChordError")
    assert left() == 0 and "connected again" not in open(f"{D}/log/edges.log").read(); return e
@step
def calls_of_python_tasks():
    c = os.environ.get("CELERY", "celery"); t.app.control.revoke("an-id")
    w = subprocess.Popen([c, "-A", "tasks", "worker", "-P", "solo", "-Q", "python", "-n", "python@localhost", "-l", "WARNING"], cwd=HERE, stdout=open(f"{D}/log/python.log", "w"), stderr=subprocess.STDOUT)
    try:
        s = subprocess.run([os.path.join(os.path.dirname(W[0]), "producer"), "queue=python", f"results={BACKEND}", f"broker={t.BROKER}"], capture_output=True, text=True, timeout=60)
        assert s.stdout.split("\n") == ['{"a":[1,null,"ü"]}', "0.01", "0.02", "0.03", "0.04", "0.05", "ValueError: unlucky", "the task failed: TaskRevokedError: expired", ""], (s.stdout, s.stderr)
        assert "Traceback" not in (l := open(f"{D}/log/python.log").read()).split("ValueError: unlucky")[0] or "mingle" not in l, l
    finally: w.terminate(); w.wait(20)
@step
def priorities_and_expiration(): assert t.noop.apply_async((1,), priority=5, expires=60).get(**G) == 1
@step
def rate_limit_of_remote_control():
    assert "ok" in str(t.app.control.rate_limit("tasks.early", "2/s", reply=True, timeout=1)); t0 = time.time()
    [r.get(**G) for r in [t.early.delay(0) for _ in range(4)]]; d = time.time() - t0
    t.app.control.rate_limit("tasks.early", "0", reply=True, timeout=1); assert 1.4 < d < 8, d; return "%.2f s" % d
@step
def time_limit_of_remote_control():
    assert "ok" in str(t.app.control.time_limit("tasks.nap", hard=.3, reply=True, timeout=1)); e = raises(t.nap.delay(20), "TimeLimitExceeded")
    t.app.control.time_limit("tasks.nap", reply=True, timeout=1); return e
@step
def revoke_as_flower_does():
    r = t.nap.delay(30); until(lambda: r.id in str(t.app.control.inspect(timeout=.5).active())); t.app.control.broadcast("revoke", arguments=dict(task_id=r.id, terminate=1, signal="SIGTERM")); return raises(r, "TaskRevokedError")
@step
def inspect():
    i = t.app.control.inspect(timeout=1); r = t.nap.apply_async((1,), countdown=20); until(lambda: r.id in str(i.scheduled())); assert i.query_task(r.id)["edges@localhost"][r.id][0] == "reserved"; assert i.active_queues()["edges@localhost"][0]["name"] == "edges"
    t.app.control.revoke(r.id); until(lambda: r.id in str(i.revoked())); assert not i.reserved()["edges@localhost"]
    assert "edges@localhost" not in (t.app.control.inspect(timeout=.5, destination=["other@host"]).ping() or {})
@step
def malformed_commands():
    for b in (b"{", b"[]", b'{"method": 5}', json.dumps(dict(method="no_such")).encode(), json.dumps(dict(method="revoke", arguments=[1])).encode(), json.dumps(dict(method="pool_grow", arguments={"n": "x"})).encode()):
        channel().basic_publish(Message(b, content_type="application/json"), exchange="celery.pidbox")
    for b in (dict(exchange="no-such", routing_key="x"), dict(exchange="amq.no-such", routing_key="x"), dict(exchange="", routing_key="x" * 300)): channel().basic_publish(Message(json.dumps(dict(method="ping", reply_to=b)), content_type="application/json"), exchange="celery.pidbox")
    assert t.app.control.ping(timeout=1); t.app.control.pool_shrink(1); assert "connected again" not in open(f"{D}/log/edges.log").read()
@step
def odd_rates():
    rate = lambda r: str(t.app.control.rate_limit("tasks.noop", r, reply=True, timeout=.5, destination=["edges@localhost"]))
    for r in ("1e-300/s", "nan", "-1", "1/d", [1], True): assert "error" in (s := rate(r)), (r, s)
    assert "ok" in rate("1e-15/h"); rs = [t.noop.delay(k) for k in range(3)]; time.sleep(.5); assert "ok" in rate("0"); assert [r.get(**G) for r in rs] == [0, 1, 2]
@step
def ping_while_all_threads_are_blocked():
    rs = [t.app.send_task("tasks.spin", (2.5,)) for _ in range(4)]; time.sleep(.5); t0 = time.time()
    p = t.app.control.inspect(timeout=2, destination=["edges@localhost"]).ping(); assert p; [r.get(timeout=30) for r in rs]
@step
def queue_deleted_under_it():
    channel().queue_delete("edges"); time.sleep(.5); assert t.noop.delay(2).get(**G) == 2
@step
def flower():
    port = free_port(); f = subprocess.Popen([os.environ.get("CELERY", "celery"), "-A", "tasks", "flower", "--address=127.0.0.1", f"--port={port}"], cwd=HERE, env=dict(os.environ, FLOWER_UNAUTHENTICATED_API="true"), stdout=open(f"{D}/log/flower.log", "w"), stderr=subprocess.STDOUT)
    get = lambda path: json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5))
    def up():
        try: return "edges@localhost" in get("/api/workers?refresh=1")
        except OSError: return False
    try:
        until(up, 30)
        def shown():  # It asks for events of tasks after a while.
            r = t.noop.delay("for flower"); r.get(**G); b = t.fail.delay("for flower"); raises(b, "ValueError"); time.sleep(1)
            return [get("/api/tasks").get(i, {}).get("state") for i in (r.id, b.id)] == ["SUCCESS", "FAILURE"]
        until(shown, 30); return f"{len(get('/api/tasks'))} tasks"
    finally: f.terminate(); f.wait(10)
TLS = f"amqps://guest:guest@localhost:{os.environ.get('AMQPS_PORT', '5671')}/%2f"
@step
def tls():
    w = start("tls", queue="tls", broker=TLS, env={"SSL_CERT_FILE": f"{D}/tls/ca.pem"})
    try: assert t.noop.apply_async((3,), queue="tls").get(**G) == 3; w.terminate(); assert w.wait(10) == 0
    finally: w.kill()
@step
def tls_of_an_unknown_authority():
    w = start("unknown", queue="tls", broker=TLS); said = lambda: [l for l in open(f"{D}/log/unknown.log") if "certificate" in l]
    try: until(said); assert w.poll() is None; return said()[0].split("reason=")[-1].strip()
    finally: w.kill()
@step
def wrong_credentials():
    w = start("wrong", broker=t.BROKER.replace("guest@", "wrong@")); assert w.wait(15) == 1; s = open(f"{D}/log/wrong.log").read(); assert "refused" in s and "wrong@" not in s, s
@step
def quorum_queue_is_refused():
    ch = channel(); ch.queue_declare("quorum", durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}); w = start("quorum", queue="quorum")
    try: assert w.wait(15) == 1; s = open(f"{D}/log/quorum.log").read(); assert '"quorum" cannot be consumed' in s, s
    finally: w.kill(); channel().queue_delete("quorum")
@step
def results_out_of_reach():
    port = free_port(); w = start("down", queue="down", redis=f"redis://127.0.0.1:{port}/0"); r = t.noop.apply_async((1,), queue="down")
    until(lambda: r.id in str(t.app.control.inspect(timeout=.5, destination=["down@localhost"]).active()))
    env = dict(os.environ, REDIS_PORT=str(port)); pid = subprocess.run([f"{HERE}/start-broker.sh", "redis", f"{D}/second"], env=env, capture_output=True, text=True).stdout.strip()
    try:
        import redis; c = redis.Redis(port=port); until(lambda: c.exists(f"celery-task-meta-{r.id}")); w.terminate(); assert w.wait(10) == 0; assert left("down") == 0
    finally: os.kill(int(open(pid).read()), signal.SIGTERM); w.kill()
@step
def sigterm_twice():
    w = start("twice", queue="twice"); rs = [t.nap.apply_async((20,), queue="twice") for _ in range(3)]; until(lambda: all(r.id in str(t.app.control.inspect(timeout=.5).active()) for r in rs)); w.terminate(); time.sleep(.5); assert w.poll() is None; w.terminate(); t0 = time.time()
    assert w.wait(10) == 0; assert left("twice") == 3; channel().queue_delete("twice"); return "%.2f s" % (time.time() - t0)
channel().queue_declare("edges", durable=True, auto_delete=False); channel().queue_purge("edges"); w = start(); time.sleep(1)
for f in steps:
    if sys.argv[1:] and f.__name__ not in sys.argv[1:]: continue
    try: note, good = f(), True
    except Exception as e: note, good = f"{type(e).__name__}: {e}", False
    ok, bad = ok + good, bad + (not good); print(("ok   " if good else "FAIL ") + f.__name__, note if note is not None else "", flush=True)
w.terminate(); good = w.wait(20) == 0; [x.kill() for x in started]; print(f"{ok} ok, {bad} failed; results in {BACKEND}; the worker ended {'well' if good else 'badly'}"); sys.exit(bad or not good)
