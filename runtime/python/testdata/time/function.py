import datetime, time

loaded, loaded_monotonic = time.time(), time.monotonic()


def handler(req):
    now, monotonic = time.time(), time.monotonic()
    begin = time.perf_counter()
    time.sleep(0.02)
    return [loaded <= now < loaded + 60, monotonic >= loaded_monotonic, time.time() - now >= 0.02, time.monotonic() - monotonic >= 0.02,
            time.perf_counter() - begin >= 0.02, datetime.datetime.now(datetime.timezone.utc).timestamp() > now, time.time_ns() > now * 1e9]
