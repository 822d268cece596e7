// Opens a page in Chromium and prints as JSON what axe-core finds, what the page asked for, how long
// it took to open, and how far it overflows. Usage: node axe.cjs PAGE CHROMIUM
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core");

const [page, executablePath] = process.argv.slice(2);
const LOOKS = [
  { name: "desktop", viewport: { width: 1100, height: 900 }, colorScheme: "light" },
  { name: "dark", viewport: { width: 1100, height: 900 }, colorScheme: "dark" },
  { name: "phone", viewport: { width: 390, height: 800 }, colorScheme: "light" },
];

async function look({ name, ...options }, browser) {
  const context = await browser.newContext({ bypassCSP: true, ...options });
  const tab = await context.newPage();
  const asked = [];
  tab.on("request", (request) => asked.push(request.url()));
  await tab.goto(`file://${page}`);
  const milliseconds = await tab.evaluate(
    () => performance.getEntriesByType("navigation")[0].loadEventEnd,
  );
  const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  await tab.addScriptTag({ path: axe });
  const found = await tab.evaluate(() => axe.run());
  await context.close();
  const violations = found.violations.map(({ id, impact, nodes }) => ({
    id,
    impact,
    nodes: nodes.slice(0, 5).map((node) => node.html.slice(0, 200)),
  }));
  return { name, asked, milliseconds, overflow, violations };
}

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const looks = [];
  for (const one of LOOKS) looks.push(await look(one, browser));
  await browser.close();
  console.log(JSON.stringify(looks));
})();
