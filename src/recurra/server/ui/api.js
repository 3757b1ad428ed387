// The server's JSON addresses; what it refuses is thrown as a Trouble.

const KEY = "recurra-token";

export class Trouble extends Error {
  constructor(status, said) {
    super(said.error);
    Object.assign(this, { status, expected: said.expected, got: said.got, next: said.next });
  }
}

export const keepToken = token => sessionStorage.setItem(KEY, token);

export const ask = async (path, body, signal) => (await sent(path, body, signal)).json();

// Calls `each(name, data)` for every event of a stream, until it ends.
export async function follow(path, body, signal, each) {
  const reader = (await sent(path, body, signal)).body.getReader();
  const decoder = new TextDecoder();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    held += decoder.decode(value, { stream: !done });
    const events = held.split("\n\n");
    held = events.pop();
    for (const event of events) read(event, each);
    if (done) return;
  }
}

function read(event, each) {
  let name = "message";
  const data = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data.push(line.slice(6));
  }
  if (!data.length) return;
  const said = JSON.parse(data.join("\n"));
  if (name === "error") throw new Trouble(0, said);
  each(name, said);
}

async function sent(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(KEY);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body === undefined ? "GET" : "POST", headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, { error: "the server does not answer", expected: null, got: null, next: "Is it still running? Try again." });
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}`, expected: null, got: null, next: "Try again." }));
  throw new Trouble(answer.status, said);
}
