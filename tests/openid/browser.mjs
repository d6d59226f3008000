// Headless Chromium on a leash: reads one JSON command a line on standard input, and
// answers each with one JSON line on standard output, {"ok": result} or {"error": text}.
// Ends, and the browser with it, at the end of standard input.
//
//   CHROMIUM=/path node browser.mjs
//
// {"do": "goto", "url": …, "profile": "a", …}: every command names a profile (cookies
// and a page of its own), made when first named.

import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	headless: true,
	args: [
		'--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync',
		'--disable-background-networking', '--disable-component-update', '--disable-dev-shm-usage',
	],
});
const profiles = new Map();

async function profileOf(name) {
	if (!profiles.has(name)) {
		const context = await browser.newContext({ ignoreHTTPSErrors: true });
		context.setDefaultTimeout(15000);
		const profile = { context, page: await context.newPage(), seen: [], alarms: [] };
		// Anything that a page manages to run or to load shows up here.
		profile.page.on('dialog', (dialog) => {
			profile.alarms.push(`dialog: ${dialog.message()}`);
			dialog.dismiss();
		});
		profile.page.on('console', (message) => {
			profile.alarms.push(`${message.type()}: ${message.text()}`);
		});
		profile.page.on('response', (response) => {
			profile.seen.push({ url: response.url(), status: response.status() });
		});
		profiles.set(name, profile);
	}
	return profiles.get(name);
}

// Where the page is now, and what stands on it.
async function state({ page }, response) {
	await page.waitForLoadState();
	return {
		url: page.url(),
		status: response?.status(),
		headers: await response?.allHeaders(),
		title: await page.title(),
		text: await page.innerText('body').catch(() => ''),
	};
}

const commands = {
	goto: async (profile, { url }) => state(profile, await profile.page.goto(url)),
	fill: async (profile, { selector, value }) => profile.page.fill(selector, value),
	uncheck: async (profile, { selector }) => profile.page.uncheck(selector),
	click: async (profile, { selector }) => {
		await profile.page.click(selector);
		return state(profile);
	},
	back: async (profile) => state(profile, await profile.page.goBack()),
	reload: async (profile) => state(profile, await profile.page.reload()),
	state: async (profile) => state(profile),
	html: async (profile) => profile.page.content(),
	evaluate: async (profile, { script }) => profile.page.evaluate(script),
	content: async (profile, { html }) => profile.page.setContent(html),
	cookies: async (profile) => profile.context.cookies(),
	set_cookies: async (profile, { cookies }) => profile.context.addCookies(cookies),
	seen: async (profile) => profile.seen.splice(0),
	alarms: async (profile) => profile.alarms.splice(0),
	screenshot: async (profile, { path }) => void (await profile.page.screenshot({ path })),
	close: async (profile, { profile: name }) => {
		profiles.delete(name);
		await profile.context.close();
	},
};

console.log(JSON.stringify({ ok: browser.version() }));
for await (const line of createInterface({ input: process.stdin })) {
	const command = JSON.parse(line);
	let answer;
	try {
		const profile = await profileOf(command.profile);
		answer = { ok: (await commands[command.do](profile, command)) ?? null };
	} catch (error) {
		answer = { error: String(error) };
	}
	console.log(JSON.stringify(answer));
}
await browser.close();
