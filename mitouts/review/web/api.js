// The server's answers.

const TIMEOUT_MS = 15000;
const NOT_NOW = new Set([408, 425, 429]);

/** The server does not answer, or not with what was asked for; `problem` says what that means for us. */
export class ApiError extends Error {
  /** @param problem `away`: try again; `restarted`: our cookie is no longer good; `refused`: will never work. */
  constructor(problem, message, status = null) {
    super(message);
    this.problem = problem;
    this.status = status;
  }
}

export const getJson = (path) => request(path, { method: 'GET' });

export const postJson = (path, body) =>
  request(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

// Another database on this port has other crops under these addresses, hence its id.
export const fieldAddress = (database, id) => `/api/crops/${id}/field?db=${database}`;
export const thumbAddress = (database, id) => `/api/crops/${id}/thumb?db=${database}`;

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new ApiError('away', 'the server does not answer');
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  const message = answer?.error ?? `the server answered ${response.status}`;
  if (response.status === 401) throw new ApiError('restarted', message, 401);
  const later = response.ok || response.status >= 500 || NOT_NOW.has(response.status);
  throw new ApiError(later ? 'away' : 'refused', message, response.status);
}
