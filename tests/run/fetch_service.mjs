// A service that asks three partners at once by fetch, in 1.5 s at most: `fetch_service.mjs PORT PAY FLIGHTS CARS`.
//
// For each partner it writes one line to its log: `SENT_NS DONE_NS PARTNER OUTCOME` with times of the monotonic clock.
// The outcome is `ok`, or the code or the name of the error that fetch failed with. It answers 200 whatever they say.

import { createServer } from "node:http";

const [port, pay, flights, cars] = process.argv.slice(2);
const asked = {
  pay: [`${pay}/fees`, '{"cents":5}'],
  flights: [`${flights}/v2/search?to=MUC`, '{"to":"MUC"}'],
  cars: [`${cars}/cars/7`, '{"id":"7"}'],
};

async function outcome([url, expected], headers) {
  try {
    const answer = await fetch(url, { headers, signal: AbortSignal.timeout(1500) });
    const said = JSON.stringify(await answer.json());
    return said === expected ? "ok" : `answered ${answer.status}`;
  } catch (error) {
    return error.cause?.code ?? error.name;
  }
}

async function timed(name, headers) {
  const sent = process.hrtime.bigint();
  const said = await outcome(asked[name], headers);
  process.stdout.write(`${sent} ${process.hrtime.bigint()} ${name} ${said}\n`);
}

const server = createServer(async (request, response) => {
  const { traceparent } = request.headers;
  if (request.url !== "/healthz") {
    await Promise.all(Object.keys(asked).map((name) => timed(name, traceparent ? { traceparent } : {})));
  }
  response.end("{}");
});
server.listen(Number(port), "127.0.0.1");
