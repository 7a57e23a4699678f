"use strict";
// Names come from the API as text, and are only ever set as text: nothing here builds HTML from data.

const FIRST_SHOWN = 10, MOST_SHOWN = 50, SESSION_SHOWN = 10, LONGEST_SESSION = 100;
const SVG = "http://www.w3.org/2000/svg";
const byId = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en");
const day = new Intl.DateTimeFormat("en", {dateStyle: "medium", timeZone: "UTC"});
const moment = new Intl.DateTimeFormat("en", {dateStyle: "medium", timeStyle: "short"});

const SOURCES = {
  model: "by the model", genres: "from favourite genres", popular: "popular tracks",
};
const names = new Map();   // track id -> {name, artist}
let user = null;           // the user who is shown
let lists = {};            // list name -> its items
let picked = [];           // track ids of the session
let asked = 0;             // answers of earlier requests are ignored

async function ask(path, options) {
  const reply = await fetch(path, options);
  const content = await reply.json().catch(() => ({detail: "The service did not answer."}));
  if (!reply.ok) throw new Error(content.detail);
  return content;
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

const count = (many, noun) => `${number.format(many)} ${noun}${many === 1 ? "" : "s"}`;
const nameOf = (id) => names.get(id)?.name || `track ${id}`;
const artistOf = (id) => names.get(id)?.artist || "";
const described = (id) => artistOf(id) ? `${nameOf(id)} by ${artistOf(id)}` : nameOf(id);

async function learnNames(ids) {
  const unknown = [...new Set(ids)].filter((id) => !names.has(id));
  for (let start = 0; start < unknown.length; start += 100) {
    const query = new URLSearchParams(unknown.slice(start, start + 100).map((id) => ["ids", id]));
    for (const track of await ask(`/page/tracks?${query}`)) names.set(track.track_id, track);
  }
}

function reasonOf(item) {
  const why = element("span", {className: "why"});
  const bold = (text) => element("b", {textContent: text});
  if (item.reason.type === "genre") why.append("Because of the taste for ", bold(item.reason.genre));
  else if (item.reason.type === "popular") why.append("Many listeners play it now");
  else if (item.reason.track_id === item.track_id) why.append("Because of earlier listens");
  else {
    why.append("Because you listened to ", bold(nameOf(item.reason.track_id)));
    if (artistOf(item.reason.track_id)) why.append(` by ${artistOf(item.reason.track_id)}`);
  }
  return why;
}

function trackRow(item, former) {
  const title = element("span", {className: "name", textContent: nameOf(item.track_id)});
  if (artistOf(item.track_id)) title.append(element("span", {className: "artist", textContent: ` · ${artistOf(item.track_id)}`}));
  const row = element("li", {},
    element("span", {className: "rank", textContent: item.rank}), title,
    element("span", {className: "score", textContent: item.score.toPrecision(3), title: "score"}), reasonOf(item));
  if (former) row.append(movement(item, former));
  return row;
}

function movement(item, former) {
  const before = former.find((each) => each.track_id === item.track_id)?.rank;
  if (before === undefined) return element("span", {className: "moved up", textContent: "new"});
  const up = before - item.rank;
  const text = up > 0 ? `▲ ${up}` : up < 0 ? `▼ ${-up}` : "–";
  const spoken = up > 0 ? `up by ${up}` : up < 0 ? `down by ${-up}` : "same place";
  const shown = element("span", {className: up > 0 ? "moved up" : "moved", textContent: text, role: "img"});
  shown.setAttribute("aria-label", spoken);
  return shown;
}

function bars(target, rows, label) {
  const most = Math.max(1, ...rows.map((row) => row.listens));
  target.replaceChildren(...rows.map((row) => {
    const made = element("li", {}, element("span", {textContent: label(row), title: label(row)}),
      element("span", {textContent: number.format(row.listens)}));
    made.style.setProperty("--share", `${100 * row.listens / most}%`);
    return made;
  }));
  if (!rows.length) target.append(element("li", {textContent: "nothing yet"}));
}

function drawWeeks(target, weeks) {
  const most = Math.max(1, ...weeks.map((week) => week.listens)), width = 300, height = 96, step = width / weeks.length;
  const chart = drawn("svg", {viewBox: `0 0 ${width} ${height + 20}`, role: "img"});
  const spoken = weeks.map((week) => `${day.format(new Date(week.starts_on))}: ${week.listens}`).join(", ");
  chart.setAttribute("aria-label", `Listens per week. ${spoken}`);
  weeks.forEach((week, place) => {
    const tall = Math.max(3, height * week.listens / most);
    const bar = drawn("rect", {x: place * step + 2, y: height - tall, width: step - 4, height: tall, rx: 3});
    if (!week.listens) bar.classList.add("none");
    bar.append(drawn("title", {}, `Week of ${day.format(new Date(week.starts_on))}: ${count(week.listens, "listen")}`));
    chart.append(bar);
  });
  if (weeks.length) {
    chart.append(drawn("text", {x: 2, y: height + 16}, day.format(new Date(weeks[0].starts_on))),
      drawn("text", {x: width - 2, y: height + 16, "text-anchor": "end"}, "this week"));
  }
  target.replaceChildren(chart);
}

function showListener(listens) {
  byId("listener-title").textContent = `Listener ${listens.user_id}`;
  byId("listener-text").textContent = listens.listens
    ? `${count(listens.listens, "listen")} of ${count(listens.distinct_tracks, "track")}, the last on ${day.format(new Date(listens.last_listened_at))}.`
    : "No listens yet: the lists come from declared genres and from popular tracks.";
  drawWeeks(byId("weeks"), listens.weeks);
  for (const track of listens.tracks) names.set(track.track_id, track);
  bars(byId("top-tracks"), listens.tracks, (row) => described(row.track_id));
  bars(byId("top-genres"), listens.genres, (row) => row.genre);
}

function showList(name, answer, shown) {
  lists[name] = answer.items;
  byId(name).replaceChildren(...answer.items.slice(0, shown).map((item) => trackRow(item)));
  byId(`${name}-source`).textContent = SOURCES[answer.source];
  byId(`${name}-more`).hidden = answer.items.length <= shown;
}

const idsIn = (items) => items.flatMap((item) => [item.track_id, item.reason.track_id ?? item.track_id]);

async function show(id) {
  const request = ++asked;
  byId("message").textContent = "";
  try {
    const path = `/users/${id}/recommendations?limit=${MOST_SHOWN}`;
    const [listens, discover, again] = await Promise.all([
      ask(`/users/${id}/listens`), ask(`${path}&list=discover`), ask(`${path}&list=again`)]);
    await learnNames(idsIn([...discover.items, ...again.items]));
    if (request !== asked) return;
    user = id;
    picked = [];
    showListener(listens);
    showList("discover", discover, FIRST_SHOWN);
    showList("again", again, FIRST_SHOWN);
    showPicked();
    byId("session-list").replaceChildren();
    byId("session-hint").hidden = false;
    byId("main").hidden = false;
    history.replaceState(null, "", `#${id}`);
  } catch (error) {
    if (request !== asked) return;
    byId("main").hidden = true;
    byId("message").textContent = `${error.message[0].toUpperCase()}${error.message.slice(1)}.`;
  }
}

async function fold() {
  const request = ++asked;
  byId("session-hint").hidden = picked.length > 0;
  if (!picked.length) return byId("session-list").replaceChildren();
  const answer = await ask(`/users/${user}/recommendations`, {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({recent: picked, list: "discover", limit: SESSION_SHOWN}),
  });
  await learnNames(idsIn(answer.items));
  if (request !== asked) return;
  byId("session-list").replaceChildren(...answer.items.map((item) => trackRow(item, lists.discover)));
}

function showPicked() {
  byId("picked").replaceChildren(...picked.map((id) => {
    const button = element("button", {type: "button", textContent: `${described(id)} ✕`});
    button.setAttribute("aria-label", `Remove ${described(id)}`);
    button.addEventListener("click", () => {
      picked = picked.filter((each) => each !== id);
      showPicked();
      byId("search").focus();
      report(fold());
    });
    return element("li", {}, button);
  }));
}

// The list of tracks found: arrow keys choose, Enter adds, Escape closes.
let found = [], chosen = -1, waiting = 0;

function closeFound() {
  byId("found").hidden = true;
  byId("search").setAttribute("aria-expanded", "false");
  byId("search").removeAttribute("aria-activedescendant");
  chosen = -1;
}

function choose(place) {
  chosen = place;
  [...byId("found").children].forEach((row, each) => row.setAttribute("aria-selected", String(each === place)));
  byId("search").setAttribute("aria-activedescendant", `found-${place}`);
  byId(`found-${place}`)?.scrollIntoView({block: "nearest"});
}

function add(track) {
  names.set(track.track_id, track);
  if (!picked.includes(track.track_id) && picked.length < LONGEST_SESSION) picked.push(track.track_id);
  byId("search").value = "";
  closeFound();
  showPicked();
  report(fold());
}

async function search() {
  const text = byId("search").value.trim(), request = ++waiting;
  if (text.length < 2) return closeFound();
  const tracks = await ask(`/page/search?${new URLSearchParams({text})}`);
  if (request !== waiting) return;
  found = tracks;
  const rows = tracks.map((track, place) => {
    const row = element("li", {id: `found-${place}`, role: "option"},
      element("span", {className: "name", textContent: track.name || `track ${track.track_id}`}),
      element("span", {className: "artist", textContent: track.artist ? ` · ${track.artist}` : ""}));
    row.addEventListener("mousedown", (event) => { event.preventDefault(); add(track); });
    return row;
  });
  byId("found").replaceChildren(...rows.length ? rows : [element("li", {className: "empty", textContent: "No track has these letters"})]);
  byId("found").hidden = false;
  byId("search").setAttribute("aria-expanded", "true");
  if (rows.length) choose(0);
}

function report(promise) {
  promise.catch((error) => { byId("message").textContent = `${error.message}.`; });
}

function describeModel(model) {
  const figures = model.metrics, made = element("div", {}, element("h4", {textContent: `${model.list === "discover" ? "Discover" : "Again"}: ${model.model}`}));
  const parts = [`Model version ${model.model_version}, trained on ${day.format(new Date(model.trained_at))}.`];
  if (figures["ndcg@10"] !== undefined) {
    parts.push(`NDCG@10 ${figures["ndcg@10"].toFixed(3)}, popularity ${figures["popularity_ndcg@10"].toFixed(3)}, on ${count(figures.users, "listener")}.`);
  }
  made.append(element("p", {textContent: parts.join(" ")}));
  return made;
}

function drawQuality(rows, name) {
  const width = 300, height = 90;
  const most = Math.max(0.01, ...rows.flatMap((row) => [row.hit_rate, row.popularity_hit_rate]));
  const line = (column) => rows.map((row, place) => {
    const x = rows.length > 1 ? place * width / (rows.length - 1) : width / 2;
    return `${place ? "L" : "M"}${x.toFixed(1)} ${(height - height * row[column] / most).toFixed(1)}`;
  }).join("");
  const percent = (share) => `${(100 * share).toFixed(1)} %`, last = rows[rows.length - 1];
  const chart = drawn("svg", {viewBox: `-4 -4 ${width + 8} ${height + 26}`, role: "img"});
  chart.setAttribute("aria-label", `${name}: ${percent(last.hit_rate)} on the newest day, popular tracks ${percent(last.popularity_hit_rate)}`);
  chart.append(drawn("path", {class: "popular", d: line("popularity_hit_rate")}), drawn("path", {class: "list", d: line("hit_rate")}),
    drawn("text", {x: 0, y: height + 18}, day.format(new Date(rows[0].day))),
    drawn("text", {x: width, y: height + 18, "text-anchor": "end"}, day.format(new Date(last.day))));
  return element("div", {}, element("h4", {textContent: name}), chart, element("p", {className: "legend"},
    element("span", {className: "is-list", textContent: `lists ${percent(last.hit_rate)}`}),
    element("span", {textContent: `popular tracks ${percent(last.popularity_hit_rate)}`})));
}

async function showRelease() {
  const release = await ask("/page/release");
  byId("release").textContent = `Release ${release.release_id} of ${moment.format(new Date(release.released_at))}, ${count(release.lists, "list")}`;
  byId("models").replaceChildren(...release.models.sort((one, other) => other.list.localeCompare(one.list)).map(describeModel));
  const measured = {Discover: [], Again: []};
  for (const row of release.quality) if (row.hit_rate !== null) measured[row.list === "discover" ? "Discover" : "Again"]?.push(row);
  const charts = Object.entries(measured).filter(([, rows]) => rows.length).map(([name, rows]) => drawQuality(rows, name));
  byId("quality-charts").replaceChildren(...charts);
  byId("quality").hidden = !charts.length;
}

async function showExamples() {
  const users = await ask("/page/users");
  byId("examples").replaceChildren("Try", ...users.map((each) => {
    const button = element("button", {type: "button"}, String(each.user_id), " ",
      element("small", {textContent: each.listens ? count(each.listens, "listen") : "new"}));
    button.addEventListener("click", () => { byId("user").value = each.user_id; report(show(String(each.user_id))); });
    return button;
  }));
}

byId("find").addEventListener("submit", (event) => { event.preventDefault(); report(show(byId("user").value.trim())); });
for (const name of ["discover", "again"]) {
  byId(`${name}-more`).addEventListener("click", () => {
    byId(name).append(...lists[name].slice(FIRST_SHOWN).map((item) => trackRow(item)));
    byId(`${name}-more`).hidden = true;
  });
}
let timer = 0;
byId("search").addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => report(search()), 150); });
byId("search").addEventListener("blur", closeFound);
byId("search").addEventListener("keydown", (event) => {
  if (byId("found").hidden || !found.length) return;
  if (event.key === "ArrowDown") choose((chosen + 1) % found.length);
  else if (event.key === "ArrowUp") choose((chosen - 1 + found.length) % found.length);
  else if (event.key === "Enter" && chosen >= 0) add(found[chosen]);
  else if (event.key === "Escape") closeFound();
  else return;
  event.preventDefault();
});

report(showRelease());
report(showExamples());
const first = decodeURIComponent(location.hash.slice(1));
if (/^-?\d+$/.test(first)) { byId("user").value = first; report(show(first)); }
