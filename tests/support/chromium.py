"""Chromium without a window, driven by its own driver."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from selenium import webdriver
from selenium.common.exceptions import (
    NoSuchElementException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

__all__ = ["Chromium"]


class Chromium:
    """A browser of its own. A context manager: leaving it ends the process.

    :param folder: where it keeps its files.
    """

    def __init__(self, folder: Path) -> None:
        options = Options()
        program = shutil.which("chromium") or shutil.which("google-chrome")
        assert program is not None, "there is no chromium here"
        options.binary_location = program
        for flag in (
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            f"--user-data-dir={folder}",
        ):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = shutil.which("chromedriver")
        self.driver = webdriver.Chrome(options, Service(driver))
        self.driver.set_page_load_timeout(20)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.driver.quit()

    def resize(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Show pages as a screen of this size would."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def run_scripts(self, allowed: bool) -> None:
        """Whether pages that are opened from now on may run scripts."""
        value = {"value": not allowed}
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", value)

    def open(self, url: str) -> None:
        """Load a page."""
        self.driver.get(url)

    def click(self, text: str) -> None:
        """Follow a link, or press a button, that reads so, or soon will be there.

        A click that sends a form may be over before the next page has come. So what is found may
        be gone before it is pressed, and is looked for again.
        """
        path = f"//a[normalize-space()='{text}'] | //button[normalize-space()='{text}']"

        def press(page: Chromium) -> bool:
            page.driver.find_element(By.XPATH, path).click()
            return True

        self.wait(press)

    def type(self, name: str, text: str) -> None:
        """Fill in a field that is there, or soon will be."""

        def fill(page: Chromium) -> bool:
            field = page.driver.find_element(By.NAME, name)
            field.clear()
            field.send_keys(text)
            return True

        self.wait(fill)

    @property
    def heading(self) -> str:
        """The h1 of the page."""
        return self.driver.find_element(By.TAG_NAME, "h1").text

    @property
    def text(self) -> str:
        """What is to be read in the main part."""
        return self.driver.find_element(By.TAG_NAME, "main").text

    def wait(self, condition: Callable[[Chromium], Any], timeout: float = 10.0) -> Any:
        """Wait until something is true of the page."""

        def holds(_: object) -> Any:
            try:
                return condition(self)
            except (StaleElementReferenceException, NoSuchElementException):
                return None
            except WebDriverException as error:
                # How ChromeDriver says that the page has gone while it looked.
                if "does not belong to the document" not in (error.msg or ""):
                    raise
                return None

        return WebDriverWait(self.driver, timeout, 0.1).until(holds)

    def reads(self, text: str) -> bool:
        """Whether that is to be read in the main part, or soon will be."""
        return bool(self.wait(lambda page: text in page.text))

    def shows(self, heading: str) -> bool:
        """Whether the h1 of the page is that, or soon will be."""
        return bool(self.wait(lambda page: page.heading == heading))

    def problems(self) -> list[str]:
        """What the browser had to complain about since the last call."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def overflow(self) -> int:
        """By how many pixels the page is wider than the screen."""
        script = "return document.documentElement.scrollWidth - innerWidth"
        return int(self.driver.execute_script(script))

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page."""
        metrics = self.driver.execute_script(
            "return [innerWidth, document.documentElement.scrollHeight]"
        )
        self.resize_height(metrics[0], min(max(metrics[1], 400), 4000))
        self.driver.save_screenshot(str(path))

    def resize_height(self, width: int, height: int) -> None:
        """The same width, another height."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
